using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class AnomalyTests
{
    private static readonly DateTimeOffset Start = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Find_QuietDays_RaisesNothing() => Assert.Empty(AnomalyAlarm.Find([Full(), Day(1, 5), Day(2, 80), Day(3, 0), Day(4, 12)]));

    [Fact]
    public void Find_MostFilesRewritten_IsAnAnomaly()
    {
        var anomaly = Assert.Single(AnomalyAlarm.Find([Full(), Day(1, 5), Day(2, 8), Day(3, 900)]));
        Assert.Contains("90 % of the files changed", anomaly.Reasons[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Find_DatabaseThatRewroteItsFiles_IsNone_ButOneWhosePagesDoNotCompressIs()
    {
        string[] tags = [PostgresTags.OfStart("000000010000000000000004")];
        Assert.Empty(AnomalyAlarm.Find([.. new[] { Full(), Day(1, 5), Day(2, 8), Day(3, 900) }.Select(day => day with { Tags = tags })]));
        Assert.Single(AnomalyAlarm.Find([.. new[] { Full(), Day(1, 5), Day(2, 8), Day(3, 900, packed: 0.999) }.Select(day => day with { Tags = tags })]));
    }

    [Fact]
    public void Find_NewDataThatDoesNotCompress_IsAnAnomaly() =>
        Assert.Contains("does not compress", Assert.Single(AnomalyAlarm.Find([Full(), Day(1, 5), Day(2, 8), Day(3, 40, packed: 0.999)])).Reasons[0], StringComparison.Ordinal);

    [Fact]
    public void Find_AlwaysIncompressible_IsNone() =>
        Assert.Empty(AnomalyAlarm.Find([Day(0, 5, packed: 1), Day(1, 5, packed: 1), Day(2, 8, packed: 1), Day(3, 40, packed: 1)]));

    [Fact]
    public void Find_HalfTheFilesGone_IsAnAnomaly() => Assert.Single(AnomalyAlarm.Find([Full(), Day(1, 5), Day(2, 5), Day(3, 5, files: 300)]));

    [Fact]
    public void Find_DaysAfterAnAttack_StayAnomaliesUntilAccepted()
    {
        Snapshot[] series = [Full(), Day(1, 5), Day(2, 5), Day(3, 5, files: 300), Day(4, 5, files: 300)];
        Assert.Equal(2, AnomalyAlarm.Find(series).Count);
        series[3] = series[3] with { Tags = [AnomalyAlarm.AcceptedTag] };
        Assert.Equal([series[4]], AnomalyAlarm.Find(series).Select(a => a.Snapshot));
    }

    [Fact]
    public void Hold_KeepsEverythingUpToTheAnomaly_AndLetsLaterOnesGo()
    {
        Snapshot[] series = [Full(), Day(1, 5), Day(2, 5), Day(3, 900), Day(4, 5), Day(5, 5)];
        var held = AnomalyAlarm.Hold(new RetentionPolicy(Last: 1).Decide(series), AnomalyAlarm.Find(series));
        Assert.Equal([true, false, true, true, true, true], held.Select(d => d.Keep));
    }

    private static Snapshot Full() => Make(0, new SnapshotSummary { Start = "", End = "", FilesNew = 1000, TotalFiles = 1000, DataAdded = 100 << 20, DataAddedPacked = 40 << 20 }) with { Parent = null };

    private static Snapshot Day(int day, int changed, double packed = 0.4, int files = 1000) => Make(day, new SnapshotSummary
    {
        Start = "", End = "", FilesChanged = changed, FilesUnmodified = files - changed, TotalFiles = files, DataAdded = 10 << 20, DataAddedPacked = (long)(packed * (10 << 20)),
    });

    private static Snapshot Make(int day, SnapshotSummary summary) => new()
    {
        Time = Timestamp.From(Start.AddDays(day)).ToString(), Tree = ObjectId.Hash([1]).ToString(), Paths = ["/a"], Hostname = "h", Parent = "x",
        Id = ObjectId.Hash(BitConverter.GetBytes(day)), Summary = summary,
    };
}

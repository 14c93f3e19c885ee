using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class RetentionArrivalTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Decide_BackdatedByHours_CountsForTheDayOfItsArrival()
    {
        // Yesterday's good one at 20:00; an intruder's says yesterday 23:59 and arrived today.
        var good = At(Now.AddHours(-16), Now.AddHours(-16));
        var bad = At(Now.AddHours(-12).AddMinutes(-1), Now);
        var decisions = new RetentionPolicy(Daily: 2).Decide([good, bad]);
        Assert.All(decisions, d => Assert.True(d.Keep));
        Assert.Contains("daily 2026-03-09 (2 of 2)", decisions.Single(d => d.Snapshot == good).Reasons);
    }

    [Fact]
    public void Decide_ImplausibleTimes_AreHeldAndCountForNothing()
    {
        var good = Enumerable.Range(0, 3).Select(d => At(Now.AddDays(-d), Now.AddDays(-d))).ToList();
        var bad = new[] { At(Now.AddYears(9), Now), At(Now.AddYears(-9), Now) };
        var decisions = new RetentionPolicy(Last: 2, Within: TimeSpan.FromDays(1)).Decide([.. good, .. bad]);
        Assert.Equal([true, true, false], good.Select(g => decisions.Single(d => d.Snapshot == g).Keep));
        Assert.All(bad, b => Assert.StartsWith("held: it says", decisions.Single(d => d.Snapshot == b).Reasons.Single(), StringComparison.Ordinal));
    }

    [Fact]
    public void Decide_TrustTimes_GoesByTheSnapshotsOwnTimes() =>
        Assert.Equal(1, new RetentionPolicy(Last: 1, TrustTimes: true).Decide([At(Now.AddYears(-1), Now), At(Now.AddYears(-2), Now)]).Count(d => d.Keep));

    [Fact]
    public void Log_BeforeTheOldestKeptBaseBackup_Goes()
    {
        Snapshot Base(string start) => At(Now, null, PostgresTags.OfServer("a"), PostgresTags.OfStart(start));
        Snapshot Log(string file, string server = "a") => At(Now, null, PostgresTags.OfServer(server), PostgresTags.OfSegment(file));
        RetentionDecision[] bases = [new(Base("000000010000000000000003"), []), new(Base("00000002000000010000000A"), ["last"])];
        Snapshot[] log =
        [
            Log("0000000100000000000000FF"), Log("000000010000000100000009"), Log("00000001000000010000000A"), Log("00000002000000010000000B"),
            Log("00000002.history"), Log("00000001000000000000000F.00000028.backup"), Log("000000010000000000000001", "b"),
        ];
        Assert.Equal([false, false, true, true, true, false, true], PostgresTags.Decide(log, bases).Select(d => d.Keep));
    }

    [Theory]
    [InlineData("000000010000000000000003", true)]
    [InlineData("00000002.history", true)]
    [InlineData("000000010000000000000003.00000028.backup", true)]
    [InlineData("000000010000000000000003.partial", true)]
    [InlineData("00000001000000000000000g", false)]
    [InlineData("../etc/passwd", false)]
    [InlineData("", false)]
    public void WalFile_Names_AreTold(string name, bool expected) => Assert.Equal(expected, WalFile.IsArchivable(name));

    private static Snapshot At(DateTimeOffset time, DateTimeOffset? arrived, params string[] tags) => new()
    {
        Time = Timestamp.From(time).ToString(), Tree = ObjectId.Hash([1]).ToString(), Paths = ["/a"], Hostname = "h", Tags = tags,
        Id = ObjectId.Hash(Guid.NewGuid().ToByteArray()), Arrived = arrived,
    };
}

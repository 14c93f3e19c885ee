using System.Globalization;
using System.Net;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Store.Etcd;
using Evenkeel.Tests.Store;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>What is made of the disk that holds etcd's data.</summary>
public sealed class EtcdDiskTests : IDisposable
{
    // The buckets of wal/metrics.go: 1 ms, doubled 13 times.
    private const string Text = """
        # TYPE etcd_disk_wal_fsync_duration_seconds histogram
        etcd_disk_backend_commit_duration_seconds_count 7
        etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 10
        etcd_disk_wal_fsync_duration_seconds_bucket{le="0.064"} 980
        etcd_disk_wal_fsync_duration_seconds_bucket{le="0.128"} 1000
        etcd_disk_wal_fsync_duration_seconds_bucket{le="8.192"} 1000
        etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 1.0e+03
        etcd_disk_wal_fsync_duration_seconds_sum 1.5
        etcd_disk_wal_fsync_duration_seconds_count 1000
        """;

    private readonly DirectoryInfo _place = TestDirectory.InMemory("evenkeel-disk-");

    public void Dispose() => _place.Delete(recursive: true);

    private EtcdMember Member => new()
    {
        Node = new NodeName("n2"), StateDirectory = _place.FullName, Clients = new PrivateEndpoint(IPAddress.Loopback, 1), Peers = new Dictionary<NodeName, PrivateEndpoint>(),
    };

    [Fact]
    public void Room_LessThanTheNextPieceOfTheLogASnapshotAndADefragmentation_IsAConcern()
    {
        long free = 300L << 20;
        using var disk = new EtcdDisk(Member, null) { FreeBytes = _ => free };
        Assert.Null(disk.Room()); // no data, no etcd
        var snap = Directory.CreateDirectory(Path.Combine(Member.DataDirectory, "member", "snap"));
        Assert.Null(disk.Room());
        using (var database = File.Create(Path.Combine(snap.FullName, "db")))
        {
            database.SetLength(30L << 20);
        }

        var words = disk.Room();
        Assert.Contains("n2 has less than 512 MiB free", words, StringComparison.Ordinal);
        Assert.Contains("316 MiB are needed", words, StringComparison.Ordinal);
        free -= 1 << 20;
        Assert.Equal(words, disk.Room()); // the same words, or they would be told anew
        free = 400L << 20;
        Assert.Null(disk.Room());
    }

    [Fact]
    public void Room_TheRealDisk_IsRead()
    {
        Directory.CreateDirectory(Member.DataDirectory);
        using var disk = new EtcdDisk(Member, null);
        Assert.Null(disk.Room());
    }

    [Fact]
    public void Parse_Histogram_IsThatOfTheLogAlone()
    {
        var times = EtcdSyncTimes.Parse(Text)!;
        Assert.Equal((1000, 4), (times.Total, times.UpTo.Count));
        Assert.Equal(TimeSpan.FromMilliseconds(64), times.Bound(TimeSpan.FromMilliseconds(75)));
        Assert.Equal(20, times.SlowerThan(TimeSpan.FromMilliseconds(64)));
        Assert.Equal(TimeSpan.FromMilliseconds(1), times.Bound(TimeSpan.FromTicks(1)));
        Assert.Null(EtcdSyncTimes.Parse("# nothing\n"));
        Assert.Null(EtcdSyncTimes.Parse("etcd_disk_wal_fsync_duration_seconds_count many\n"));
    }

    [Fact]
    public void Since_AnotherProcessMeanwhile_CountsAllOfIt()
    {
        var (before, now) = (EtcdSyncTimes.Parse(Text)!, Times(1100, 1050));
        Assert.Equal((100, 30), (now.Since(before).Total, now.Since(before).SlowerThan(TimeSpan.FromMilliseconds(64))));
        Assert.Equal(5, Times(5, 5).Since(before).Total);
    }

    [Theory]
    [InlineData(1000, 980, true)]
    [InlineData(1000, 990, false)] // not more than one in a hundred
    [InlineData(100, 96, false)] // one pause
    [InlineData(0, 0, false)]
    public void Judge_MoreThanOneInAHundredAboveAnElectionsTime_IsAConcern(int total, int quick, bool slow)
    {
        using var disk = new EtcdDisk(Member, null);
        var words = disk.Judge(Times(total, quick));
        Assert.Equal(slow, words is not null);
        Assert.True(!slow || words!.Contains("longer than 64 ms", StringComparison.Ordinal), words);
    }

    [Fact]
    public async Task Slowness_EtcdDoesNotAnswer_IsNoConcernOfTheDisk()
    {
        using var disk = new EtcdDisk(Member, null);
        Assert.Null(await disk.SlownessAsync(TestContext.Current.CancellationToken));
    }

    private static EtcdSyncTimes Times(int total, int quick) => EtcdSyncTimes.Parse(string.Create(CultureInfo.InvariantCulture,
        $"etcd_disk_wal_fsync_duration_seconds_bucket{{le=\"0.064\"}} {quick}\netcd_disk_wal_fsync_duration_seconds_count {total}\n"))!;
}

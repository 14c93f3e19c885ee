using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Hosting;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.Hosting;

/// <summary>Orders over the control socket to a host that runs an array.</summary>
public sealed class ArrayHostTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("evenkeel-host-").FullName;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, IMemberDevice> _shelf = [];
    private Bench _bench = null!;
    private ArrayHost _host = null!;
    private HostSocket _socket = null!;
    private HostLink _link = null!;
    private Task _running = Task.CompletedTask;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await Bench.CreateAsync(RaidLevel.Raid5, 4);
        _host = new ArrayHost(_bench.Array, "nbd://there", name => _shelf.Remove(name, out var device) ? Task.FromResult(device) : throw new IOException($"{name} is not there"), _ => { });
        _socket = HostSocket.Start(Path.Combine(_directory, "run", "test.sock"), _host);
        _running = _host.RunAsync(_stop.Token);
        _link = (await HostLink.TryConnectAsync(Path.Combine(_directory, "run", "test.sock"), Stop))!;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _link.Dispose();
        await _socket.DisposeAsync();
        _host.Dispose();
        _stop.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task FailRemoveAdd_OfAMember_RebuildsByItself()
    {
        var content = await _bench.FillAsync(1);
        var failed = await OrderAsync(new HostOrder("fail", "disk2"));
        Assert.Equal("degraded", failed.State);
        Assert.Equal(3, (await OrderAsync(new HostOrder("remove", "disk2"))).Members.Count);
        Shelve("new");
        await OrderAsync(new HostOrder("add", Device: "new"));
        var whole = await UntilAsync(report => report is { Activity: "idle", State: not "degraded" });
        Assert.Equal(MemberState.InSync, whole.Members.Single(member => member.Device == "new").State);
        await Bench.AssertReadsAsync(content, _bench.Array);
        await OrderAsync(new HostOrder("check"));
        Assert.Equal(0, (await UntilAsync(report => report is { Activity: "idle", Mismatches: not null })).Mismatches);
    }

    [Fact]
    public async Task Replace_BySlot_IsNeverDegraded()
    {
        await _bench.FillAsync(1);
        Shelve("new");
        var begun = await OrderAsync(new HostOrder("replace", "1", "new"));
        Assert.NotEqual("degraded", begun.State);
        var done = await UntilAsync(report => report.Members.Single(member => member.Device == "new").State == MemberState.InSync);
        Assert.Equal(1, done.Members.Single(member => member.Device == "new").Slot);
        Assert.DoesNotContain(_bench.Events, happened => happened.Kind == "DegradedArray");
    }

    [Fact]
    public async Task Repair_OfALyingDisk_CountsAndMends()
    {
        await _bench.FillAsync(1);
        _bench.Disks[3].Corrupt(2048 + 3);
        await OrderAsync(new HostOrder("repair"));
        Assert.Equal(8, (await UntilAsync(report => report is { Activity: "idle", Mismatches: not null })).Mismatches);
        Assert.Equal(0, await _bench.Array.ScrubAsync(repair: false, stop: Stop));
    }

    [Theory]
    [InlineData("fail", "nobody", null, "no member")]
    [InlineData("remove", "disk0", null, "in use")]
    [InlineData("add", null, "missing", "not there")]
    [InlineData("replace", "disk0", null, "no spare")]
    [InlineData("dance", null, null, "no order")]
    public async Task Order_ThatMakesNoSense_IsAnsweredWithWords(string order, string? member, string? device, string words)
    {
        var answer = await _link.OrderAsync(new HostOrder(order, member, device), Stop);
        Assert.Contains(words, answer.Error, StringComparison.Ordinal);
        Assert.Equal("clean", answer.Report!.State);
    }

    [Fact]
    public async Task Fail_ThatWouldLoseData_IsRefused()
    {
        await OrderAsync(new HostOrder("fail", "disk0"));
        var answer = await _link.OrderAsync(new HostOrder("fail", "disk1"), Stop);
        Assert.True(answer.Refused);
        Assert.Equal("degraded", answer.Report!.State);
    }

    [Fact]
    public async Task Stop_EndsTheHost_AndLimitIsKept()
    {
        Assert.Equal(1 << 20, (await OrderAsync(new HostOrder("limit", BytesPerSecond: 1 << 20))).SyncBytesPerSecond);
        Assert.Null((await OrderAsync(new HostOrder("limit"))).SyncBytesPerSecond);
        Assert.Throws<IOException>(() => HostSocket.Start(Path.Combine(_directory, "run", "test.sock"), _host));
        await OrderAsync(new HostOrder("stop"));
        await _running.WaitAsync(Stop);
    }

    private void Shelve(string name) => _shelf[name] = new SimulatedDisk(_bench.Power, Bench.DiskBytes, name);

    private async Task<ArrayReport> OrderAsync(HostOrder order)
    {
        var answer = await _link.OrderAsync(order, Stop);
        Assert.Null(answer.Error);
        return answer.Report!;
    }

    private async Task<ArrayReport> UntilAsync(Func<ArrayReport, bool> enough)
    {
        while (true)
        {
            var report = await OrderAsync(new HostOrder("status"));
            if (enough(report)) return report;
            await Task.Yield();
        }
    }
}

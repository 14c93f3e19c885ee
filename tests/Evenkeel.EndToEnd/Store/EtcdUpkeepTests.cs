using System.Text;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>What becomes of an etcd that grows: its file shrinks again, and a quota that was reached does not stop the cluster for good.</summary>
[Trait("Peer", "etcd")]
[Trait("Machine", "shared"), Trait("Turn", "3")]
public sealed class EtcdUpkeepTests : IAsyncLifetime
{
    private const long Quota = 24L << 20;
    private readonly EtcdTrio trio = new() { Adjust = member => member with { QuotaBytes = Quota } };
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => trio.InitializeAsync();
    public ValueTask DisposeAsync() => trio.DisposeAsync();

    [Fact]
    public async Task MakeRoom_QuotaReached_WritesAreTakenAgainAndNothingIsLost()
    {
        var store = trio.Open();
        var value = new byte[100_000];
        var result = new CommitResult(CommitOutcome.Committed, 0);
        for (var i = 0; result.Outcome == CommitOutcome.Committed && i < 1000; i++)
        {
            value[0] = (byte)i;
            result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [], [new Write("large", value.ToArray())]), Cancel);
        }

        Assert.NotEqual(CommitOutcome.Committed, result.Outcome);
        Assert.Contains((await store.GetStatusAsync(Cancel)).Alarms, alarm => alarm.Contains("NOSPACE", StringComparison.Ordinal));
        using var members = new EtcdMembership(trio.Members.Select(member => new EtcdEndpoint(member.Clients, member.Node)), trio.Certificates[0], _ => { });
        for (var i = 0; i < 3; i++)
        {
            // As each agent does for its own member, when that one has raised the alarm.
            using var upkeep = new EtcdMaintenance(new EtcdEndpoint(trio.Members[i].Clients, trio.Members[i].Node), trio.Certificates[i], Quota, _ => { });
            var before = await upkeep.SizeAsync(Cancel);
            Assert.True(await upkeep.MakeRoomAsync(members, Cancel));
            var after = await upkeep.SizeAsync(Cancel);
            Assert.True(after.Bytes < before.Bytes / 4, $"{before} -> {after}");
            Assert.False(after.IsFull);
        }

        Assert.Equal(CommitOutcome.Committed, (await store.CommitAsync(new Transaction(Guid.NewGuid(), [], [new Write("small", Encoding.UTF8.GetBytes("1"))]), Cancel)).Outcome);
        Assert.Equal(["large", "small"], (await store.ReadAsync("", Cancel)).Entries.Select(entry => entry.Key));
    }

    [Fact]
    public async Task Defragment_TheLeader_HandsTheLeadOverFirst()
    {
        var leader = await trio.HealthyAsync();
        using var members = new EtcdMembership(trio.Members.Select(member => new EtcdEndpoint(member.Clients, member.Node)), trio.Certificates[0], _ => { });
        using var upkeep = new EtcdMaintenance(new EtcdEndpoint(trio.Members[leader].Clients, trio.Members[leader].Node), trio.Certificates[leader], Quota, _ => { });
        Assert.True((await upkeep.SizeAsync(Cancel)).IsLeader);
        Assert.False((await upkeep.DefragmentAsync(members, Cancel)).IsLeader);
        Assert.NotEqual(leader, await trio.HealthyAsync());
    }

    [Fact]
    public async Task SyncTimes_ARealMember_TellsThemToTheClustersCertificatesAlone()
    {
        var store = trio.Open();
        Assert.Equal(CommitOutcome.Committed, (await store.CommitAsync(new Transaction(Guid.NewGuid(), [], [new Write("small", Encoding.UTF8.GetBytes("1"))]), Cancel)).Outcome);
        var member = new EtcdEndpoint(trio.Members[0].Clients, trio.Members[0].Node);
        using var client = EtcdSyncTimes.Client(member, trio.Certificates[0]);
        var times = (await EtcdSyncTimes.ReadAsync(client, member, secure: true, Cancel))!;
        Assert.True(times.Total > 0);
        Assert.Equal(TimeSpan.FromMilliseconds(64), times.Bound(TimeSpan.FromMilliseconds(75)));
        Assert.InRange(times.SlowerThan(TimeSpan.FromMilliseconds(64)), 0, times.Total);
#pragma warning disable CA5359 // It is the stranger who is refused here, not the server.
        using var stranger = new HttpClient(new SocketsHttpHandler { SslOptions = new() { RemoteCertificateValidationCallback = (_, _, _, _) => true } });
#pragma warning restore CA5359
        Assert.Null(await EtcdSyncTimes.ReadAsync(stranger, member, secure: true, Cancel));
    }
}

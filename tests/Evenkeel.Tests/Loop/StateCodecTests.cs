using System.Net;
using System.Text;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

public sealed class StateCodecTests
{
    private readonly StateCodec codec = new("shop");

    internal static ClusterSpec Spec(params string[] nodes) => new()
    {
        Cluster = "shop",
        Networks = new NetworksSpec(IPNetwork.Parse("203.0.113.0/24"), [IPNetwork.Parse("10.10.0.0/24"), IPNetwork.Parse("fd00::/64")]),
        Vips = new Dictionary<string, VipSpec> { ["front"] = new() { Name = "front", Address = IPAddress.Parse("203.0.113.10"), PrefixLength = 24 } },
        Nodes = nodes.Select((name, i) => new NodeSpec { Name = new(name), Public = IPAddress.Parse($"203.0.113.{20 + i}"), Private = [IPAddress.Parse($"10.10.0.{20 + i}")] }).ToDictionary(node => node.Name),
        Services = new Dictionary<string, ServiceSpec>
        {
            ["db"] = new() { Name = "db", Redundancy = Redundancy.Cold, Activity = Activity.SingleActive, Instances = 1, Driver = new ProcessDriverSpec { Command = ["./db"] } },
            ["web"] = new() { Name = "web", Redundancy = Redundancy.Hot, Activity = Activity.Spread, Instances = 2, Driver = new ProcessDriverSpec { Command = ["./web"], Port = 5000 } },
        },
    };

    private static StoreEntry Entry(Write write, long revision) => new(write.Key, write.Value!.Value, revision);

    [Fact]
    public void EveryRecord_WrittenAndRead_ComesBackWithItsRevision()
    {
        var ownership = new Ownership(ResourceId.Vip("front"), new Owner(new("n1"), new(7), new(2, 5)), new(2, 5)) { Previous = new("n2"), Reason = "lost" };
        var fence = new FenceRecord(new("n2"), 8, 2, FencePhase.Confirmed) { Session = new(3), ByOperator = true, Reason = "smoke", Detail = "the switch says so" };
        var state = codec.Read(new StoreSnapshot(9, [
            Entry(codec.Put(Spec("n1", "n2")), 3), Entry(codec.PutIncarnation(2), 1), Entry(codec.Put(new Controller(new("n2"), 4)), 4),
            Entry(codec.Put(ownership), 5), Entry(codec.Put(new Assignment("web", [new("n1"), new("n2")])), 6),
            Entry(codec.Put(new NodeRecord(new("n2"), NodeMode.Draining)), 7), Entry(codec.Put(new MoveRequest(ResourceId.Service("db"), new("n1"))), 8),
            Entry(codec.Put(new SyncSet("db", new(2, 5), [new("n1"), new("n2")]) { Data = "74" }), 9),
            Entry(codec.Put(fence), 9)]));
        Assert.Empty(codec.Problems);
        Assert.Equal((9, 2, 1), (state.Revision, state.Incarnation, state.IncarnationRevision));
        Assert.Equal(new Versioned<Ownership>(ownership, 5), state.Ownerships[ResourceId.Vip("front")]);
        Assert.Equal(4, state.Controller!.Value.Value.Epoch);
        Assert.Equal([new("n1"), new("n2")], state.Assignments["web"].Value.Nodes);
        Assert.Equal(NodeMode.Draining, state.Nodes[new("n2")].Value.Mode);
        Assert.Equal(new NodeName("n1"), state.Moves[ResourceId.Service("db")].Value.To);
        Assert.Equal([new("n1"), new("n2")], state.SyncSets["db"].Value.Members);
        Assert.Equal(("74", 9), (state.SyncSets["db"].Value.Data, state.SyncSets["db"].Revision));
        Assert.Equal(new Versioned<FenceRecord>(fence, 9), state.Fences[new("n2")]);
        var spec = state.Spec!.Value.Value;
        Assert.Equal(IPAddress.Parse("203.0.113.10"), spec.Vips["front"].Address);
        Assert.Equal(IPNetwork.Parse("fd00::/64"), spec.Networks.Private[1]);
        Assert.Equal(5000, Assert.IsType<ProcessDriverSpec>(spec.Services["web"].Driver).Port);
        Assert.Equal(Timings.Default, spec.Timings);
    }

    [Fact]
    public void Batch_AppliedTwice_ChangesNothingTheSecondTime()
    {
        var state = codec.Apply(ClusterState.Empty, new WatchBatch(4, [Entry(codec.Put(new Controller(new("n1"), 1)), 4)], []));
        state = codec.Apply(state, new WatchBatch(5, [], [codec.Keys.Controller]));
        Assert.Null(state.Controller);
        Assert.Same(state, codec.Apply(state, new WatchBatch(4, [Entry(codec.Put(new Controller(new("n1"), 1)), 4)], [])));
    }

    [Fact]
    public void CorruptedRecord_Read_IsToldAndTheOthersStand()
    {
        var state = codec.Read(new StoreSnapshot(2, [
            new StoreEntry(codec.Keys.Node(new("n1")), Encoding.UTF8.GetBytes("{\"node\":"), 1), Entry(codec.PutIncarnation(6), 2)]));
        Assert.Equal(6, state.Incarnation);
        Assert.Contains("node/n1", Assert.Single(codec.TakeProblems()), StringComparison.Ordinal);
        Assert.Empty(codec.Problems);
    }
}

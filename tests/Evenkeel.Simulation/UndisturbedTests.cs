using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Simulation.World;
using Xunit;

namespace Evenkeel.Simulation;

/// <summary>Healthy owners do not notice the loss of the store or of the controller (safety rule 3).</summary>
public sealed class UndisturbedTests
{
    private const long Second = 1_000_000_000;

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public void Owners_StoreLostForTenSeconds_GoOn(ulong seed)
    {
        var cluster = Settled(seed);
        var before = Actors(cluster);
        var lost = cluster.LeasesLost;
        cluster.Store.Outages++;
        foreach (var node in cluster.Nodes.Values) node.Agent.LoseStore("no quorum");
        Assert.True(cluster.Run(10 * Second), cluster.Invariants.Violation);
        Assert.Equal(before, Actors(cluster));
        Assert.Equal(lost, cluster.LeasesLost);
        cluster.Store.Outages = 0;
        Assert.True(cluster.Run(3 * Second), cluster.Invariants.Violation);
        Assert.Equal(before, Actors(cluster));
        Assert.Equal(lost, cluster.LeasesLost);
    }

    [Theory]
    [InlineData(21)]
    [InlineData(22)]
    [InlineData(23)]
    public void OwnersElsewhere_ControllerKilled_GoOn(ulong seed)
    {
        var cluster = Settled(seed);
        var before = Actors(cluster);
        var controller = cluster.Store.Controller()!.Value;
        cluster.Node(controller).PowerOff();
        // What only fencing can end waits for as long as an agent may be away, and for the device.
        Assert.True(cluster.Run(3 * Second + (before[ResourceId.Service(SimUnit.Service)].Node == controller ? 7 * Second : 0)), cluster.Invariants.Violation);
        var after = Actors(cluster);
        Assert.NotEqual(controller, cluster.Store.Controller());
        foreach (var (resource, actor) in before)
            if (actor.Node != controller) Assert.Equal(actor, after[resource]);
            else Assert.NotEqual(actor.Node, after[resource].Node);
    }

    [Theory]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    public void Owners_TheirAgentsRestartOneAfterTheOther_AddressesLeaveFirstAndServicesStay(ulong seed)
    {
        var cluster = Settled(seed);
        var services = Actors(cluster).Where(pair => pair.Key.Kind == "service").ToList();
        foreach (var node in cluster.Nodes.Values)
        {
            node.Agent.Post(new RestartAnnounced());
            Assert.True(cluster.Run(2 * Second), cluster.Invariants.Violation);
            Assert.DoesNotContain(Actors(cluster), pair => pair.Key.Kind == "vip" && pair.Value.Node == node.Name);
            // Longer than a detection takes, shorter than a guard waits for an agent.
            node.Agent.Crash(restart: false);
            Assert.True(cluster.Run(Second / 2), cluster.Invariants.Violation);
            node.Agent.Start();
            Assert.True(cluster.Run(4 * Second), cluster.Invariants.Violation);
            var after = Actors(cluster);
            foreach (var (service, actor) in services) Assert.Equal(actor, after[service]);
        }
        // Nobody took them for flapping.
        Assert.All(cluster.Nodes.Values, node => Assert.Equal(NodeMode.Active, node.Agent.Loop!.Known.ModeOf(node.Name)));
    }

    [Fact]
    public void StateFormat_RisesOnceTheLastNodeReadsIt_AndAnOlderReleaseDecidesNothing()
    {
        var cluster = Settled(41);
        var newer = StateFormat.Current + 1;
        int Format() => new Core.Loop.Store.StateCodec(Plan.Cluster).Read(cluster.Store.Snapshot()).Format;
        foreach (var node in cluster.Nodes.Values)
        {
            Assert.Equal(StateFormat.Current, Format());
            Replace(node, newer);
        }
        Assert.Equal(newer, Format());
        var old = cluster.Nodes.Values.Last();
        Replace(old, StateFormat.Current);
        Assert.Null(old.Agent.Loop);
        Assert.Equal(newer, Format());
        // What it had goes to others, once its guard has waited for an agent long enough, and the fence device has answered.
        Assert.True(cluster.Run(12 * Second), cluster.Invariants.Violation);
        Assert.DoesNotContain(Actors(cluster), pair => pair.Value.Node == old.Name);

        void Replace(SimNode node, int reads)
        {
            node.Agent.ReadsFormat = reads;
            node.Agent.Crash(restart: false);
            node.Agent.Start();
            Assert.True(cluster.Run(3 * Second), cluster.Invariants.Violation);
        }
    }

    /// <summary>Each instance is another process afterwards, the request is gone, and the database's owner and its writes are safe.</summary>
    [Theory]
    [InlineData(51)]
    [InlineData(52)]
    [InlineData(53)]
    public void Instances_AskedToRestart_AreStoppedAndStartedOnce(ulong seed)
    {
        var cluster = Settled(seed);
        var requests = 0;
        foreach (var service in new[] { "web", "reports", "queue", SimDatabase.Service })
        foreach (var node in cluster.Nodes.Values.Where(node => node.Running.ContainsKey(service)).ToList())
        {
            var before = node.Running[service].ProcessId;
            var codec = cluster.Codec;
            var operation = Core.Loop.Store.Operations.Restart(codec, codec.Read(cluster.Store.Snapshot()), service, node.Name, new Guid(++requests, 1, 1, new byte[8]));
            Assert.Null(operation.Refusal);
            Assert.Equal(CommitOutcome.Committed, cluster.Store.Apply(operation.Transaction!).Outcome);
            Assert.True(cluster.Run(8 * Second), cluster.Invariants.Violation);
            Assert.NotEqual(before, node.Running[service].ProcessId);
            Assert.Empty(codec.Read(cluster.Store.Snapshot()).Restarts);
        }
    }

    private static SimCluster Settled(ulong seed)
    {
        var cluster = new SimCluster(seed, Bug.None, traced: false);
        cluster.Calm = true;
        cluster.Begin();
        Assert.True(cluster.Run(4 * Second), cluster.Invariants.Violation);
        return cluster;
    }

    private static SortedDictionary<ResourceId, (NodeName Node, Epoch Epoch)> Actors(SimCluster cluster)
    {
        SortedDictionary<ResourceId, (NodeName, Epoch)> actors = [];
        foreach (var resource in cluster.Invariants.Resources)
        {
            var actor = cluster.Invariants.Actor(resource);
            Assert.True(actor is not null, $"{resource} has no owner that acts");
            actors[resource] = (actor.Value, cluster.Node(actor.Value).ActsOn(resource).First());
        }
        return actors;
    }
}

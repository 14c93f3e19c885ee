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

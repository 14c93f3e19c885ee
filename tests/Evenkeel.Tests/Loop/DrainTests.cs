using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>An instance that is to go waits for what balancers still have under way with it, and no longer than its service says.</summary>
public sealed class DrainTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName other = new("n2");
    private readonly SmallAgent agent = new(self);
    private readonly Knowledge known;
    private readonly InstanceSide instances;

    public DrainTests()
    {
        (known, instances) = (agent.Known, agent.Instances);
        agent.Greet();
        var service = new ServiceSpec
        {
            Name = "web", Redundancy = Redundancy.Hot, Activity = Activity.Spread, Instances = 1, Driver = new ProcessDriverSpec { Command = ["x"], Port = 5000 },
            Publish = [new PublishSpec { Vip = "front", Port = 80, Protocol = PublishProtocol.Http }], DrainTimeout = TimeSpan.FromSeconds(10),
        };
        known.State = ClusterState.Empty with
        {
            Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(SmallSpec.Of([self, other], service), 1),
            Assignments = ImmutableSortedDictionary<string, Versioned<Assignment>>.Empty.Add("web", new(new Assignment("web", [other]), 2)),
        };
        instances.OnChanged(new InstanceFacts("web", InstanceStatus.Running, Health.Healthy) { Version = 1 });
        Assert.False(Stops());
        Assert.True(instances.Facts.Single().Leaving);
    }

    [Fact]
    public void NothingUnderWay_StopsOnceAllBalancersHaveHeardOfIt()
    {
        At(1.9);
        Assert.False(Stops());
        At(2.1);
        Assert.True(Stops());
    }

    [Fact]
    public void UnderWayAtAnotherNodesBalancer_StopsWhenThatHasEnded()
    {
        OtherSays(new Carried("web", self));
        At(6);
        OtherSays(new Carried("web", self), new Carried("web", other));
        Assert.False(Stops());
        OtherSays(new Carried("web", other), new Carried("else", self));
        Assert.True(Stops());
    }

    [Fact]
    public void UnderWayAtItsOwnNodesBalancer_StopsAtTheTimeLimit()
    {
        known.Own = known.Own with { Finishing = [new Carried("web", self)] };
        At(9.9);
        Assert.False(Stops());
        At(10.1);
        Assert.True(Stops());
    }

    private bool Stops()
    {
        instances.Reconcile();
        return known.TakeEffects().OfType<StopInstance>().Any();
    }

    private void At(double seconds) => known.Awake = TimeSpan.FromSeconds(seconds);

    private void OtherSays(params Carried[] finishing)
    {
        agent.Hear(other, new NodeFacts { Finishing = finishing });
        agent.JudgePeers();
    }
}

using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>What a standby that comes up is told meanwhile.</summary>
public sealed class InstanceSideTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName other = new("n2");
    private static readonly ResourceId resource = ResourceId.Service("db");
    private static readonly Owner owner = new(other, new GuardSession(8), new Epoch(1, 3));
    private readonly SmallAgent agent = new(self);
    private readonly Knowledge known;
    private readonly InstanceSide instances;

    public InstanceSideTests()
    {
        (known, instances) = (agent.Known, agent.Instances);
        agent.Greet();
        known.State = ClusterState.Empty with
        {
            Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(SmallSpec.Of([self, other], SmallSpec.Database(2)), 1),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource, new(new Ownership(resource, owner, owner.Epoch), 2)),
            Assignments = ImmutableSortedDictionary<string, Versioned<Assignment>>.Empty.Add("db", new(new Assignment("db", [self, other]), 3)),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add("db", new(new SyncSet("db", owner.Epoch, [other]) { Data = "7" }, 4)),
        };
        // With nobody to follow yet, it has been started and has not come to answer.
        Assert.Null(Started()!.Order.Replication!.Upstream);
        instances.OnCompleted(new ActionCompleted(Last!.ActionId, Core.Loop.Ports.ActionResult.Success));
        instances.OnChanged(new InstanceFacts("db", InstanceStatus.Starting, Health.Unknown) { ProcessId = 9 });
    }

    private InstanceAction? Last { get; set; }

    [Fact]
    public void Starting_ToldTheSame_IsLeftAlone() => Assert.Null(Started());

    [Fact]
    public void Starting_AnotherUpstream_IsToldOnce()
    {
        OwnerSays(InstanceStatus.Running);
        Assert.Equal(other, Started()?.Order.Replication!.Upstream!.Node);
        instances.OnCompleted(new ActionCompleted(Last!.ActionId, Core.Loop.Ports.ActionResult.Success));
        Assert.Null(Started());
    }

    /// <summary>Its beat may be here before the commit that nobody owns it. Whoever left now would miss its last words.</summary>
    [Fact]
    public void Upstream_EndsWhileItStillSeemsToBeTheOwner_IsFollowedOn()
    {
        OwnerSays(InstanceStatus.Running);
        Started();
        instances.OnCompleted(new ActionCompleted(Last!.ActionId, Core.Loop.Ports.ActionResult.Success));
        OwnerSays(InstanceStatus.Stopping);
        Assert.Null(Started());
        OwnerSays(InstanceStatus.Stopped);
        Assert.Null(Started()!.Order.Replication!.Upstream);
    }

    private void OwnerSays(InstanceStatus status)
    {
        agent.Hear(other, new NodeFacts { Instances = [new InstanceFacts("db", status, Health.Healthy) { Epoch = owner.Epoch }] });
        agent.JudgePeers();
    }

    [Fact]
    public void Starting_NoLongerWantedHere_IsStopped()
    {
        known.State = known.State with { Assignments = known.State.Assignments.SetItem("db", new(new Assignment("db", [other]), 5)) };
        Started();
        Assert.IsType<StopInstance>(Last);
    }

    [Fact]
    public void Stopped_BeforeAnyDataIsCommitted_SaysWhatLiesHere()
    {
        known.State = known.State with { SyncSets = known.State.SyncSets.Clear() };
        instances.OnChanged(new InstanceFacts("db", InstanceStatus.Stopped, Health.Unknown));
        Started();
        Assert.IsType<LookAtData>(Last);
        instances.OnCompleted(new ActionCompleted(Last.ActionId, Core.Loop.Ports.ActionResult.Failure("a disk is ill")));
        Started();
        Assert.Null(Last);
        known.Awake += TimeSpan.FromSeconds(3);
        Started();
        Assert.IsType<LookAtData>(Last); // somebody may have moved it away
    }

    private StartInstance? Started()
    {
        instances.Reconcile();
        return (Last = known.TakeEffects().OfType<InstanceAction>().SingleOrDefault()) as StartInstance;
    }
}

using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>What a standby that comes up is told meanwhile.</summary>
public sealed class InstanceSideTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName other = new("n2");
    private static readonly ResourceId resource = ResourceId.Service("db");
    private static readonly Owner owner = new(other, new GuardSession(8), new Epoch(1, 3));
    private readonly Knowledge known;
    private readonly InstanceSide instances;

    public InstanceSideTests()
    {
        known = new Knowledge(self, new PeerTable(self, 1, twoWay: false)) { HasState = true };
        var ids = new RequestIds(1);
        var guard = new GuardSide(known, ids, new DoorPolicy(null));
        instances = new InstanceSide(known, guard, new ReplicationSide(known, guard, new CommitDesk(known, ids)));
        guard.OnMessage(new GuardHello(new GuardSession(7), 1, [], [], []));
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
        OwnerSays(InstanceStatus.Running, 1);
        Assert.Equal(other, Started()?.Order.Replication!.Upstream!.Node);
        instances.OnCompleted(new ActionCompleted(Last!.ActionId, Core.Loop.Ports.ActionResult.Success));
        Assert.Null(Started());
    }

    /// <summary>Its beat may be here before the commit that nobody owns it. Whoever left now would miss its last words.</summary>
    [Fact]
    public void Upstream_EndsWhileItStillSeemsToBeTheOwner_IsFollowedOn()
    {
        OwnerSays(InstanceStatus.Running, 1);
        Started();
        instances.OnCompleted(new ActionCompleted(Last!.ActionId, Core.Loop.Ports.ActionResult.Success));
        OwnerSays(InstanceStatus.Stopping, 2);
        Assert.Null(Started());
        OwnerSays(InstanceStatus.Stopped, 3);
        Assert.Null(Started()!.Order.Replication!.Upstream);
    }

    private void OwnerSays(InstanceStatus status, long sequence)
    {
        known.Peers.Receive(new Beat
        {
            Sender = other, Session = 5, Sequence = sequence,
            Facts = new NodeFacts { Instances = [new InstanceFacts("db", status, Health.Healthy) { Epoch = owner.Epoch }] },
        }, known.Awake, known.Timings);
        _ = known.Peers.Judge(known.Awake, known.Timings).ToList();
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

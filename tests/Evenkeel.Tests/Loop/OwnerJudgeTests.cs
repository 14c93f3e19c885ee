using System.Net;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>When an instance that fails where it is moves away.</summary>
public sealed class OwnerJudgeTests
{
    private static readonly NodeName self = new("n1");
    private static readonly ResourceId resource = ResourceId.Service("web");
    private static readonly Owner owner = new(self, new GuardSession(7), new Epoch(1, 1));
    private readonly Knowledge known;
    private readonly ControllerMemory memory;
    private readonly OwnerJudge judge;
    private TimeSpan at = TimeSpan.FromSeconds(100);

    public OwnerJudgeTests()
    {
        known = new Knowledge(self, new PeerTable(self, 1));
        memory = new ControllerMemory(known);
        judge = new OwnerJudge(known, memory);
    }

    [Fact]
    public void Failed_WithoutALimit_GoesAtTheFirstFailure()
    {
        Place(new PlacementSpec());
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Running));
        Assert.Equal(Verdict.ShouldGo, See(InstanceStatus.Failed));
    }

    [Fact]
    public void Failed_FewerTimesThanTheLimit_IsMendedWhereItIs()
    {
        Place(new PlacementSpec { MaxFailures = 3 });
        See(InstanceStatus.Running);
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Failed));
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Running));
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Failed));
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Starting));
        Assert.Equal(Verdict.ShouldGo, See(InstanceStatus.Failed));
        Assert.Equal(Verdict.ShouldGo, See(InstanceStatus.Running));
    }

    [Fact]
    public void Failed_MendedBetweenTwoBeats_CountsByItsRestarts()
    {
        Place(new PlacementSpec { MaxFailures = 2 });
        See(InstanceStatus.Running, restarts: 5);
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Running, restarts: 6));
        Assert.Equal(Verdict.ShouldGo, See(InstanceStatus.Running, restarts: 7));
    }

    [Fact]
    public void Failed_LongAgo_DoesNotCount()
    {
        Place(new PlacementSpec { MaxFailures = 2, FailureWindow = TimeSpan.FromMinutes(1) });
        See(InstanceStatus.Running);
        See(InstanceStatus.Failed);
        See(InstanceStatus.Running);
        at += TimeSpan.FromSeconds(61);
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Failed));
    }

    [Fact]
    public void Failed_AndNotComingBack_GoesBeforeTheLimit()
    {
        Place(new PlacementSpec { MaxFailures = 100 });
        See(InstanceStatus.Running);
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Failed));
        at += TimeSpan.FromSeconds(4);
        Assert.Equal(Verdict.ShouldGo, See(InstanceStatus.Failed));
    }

    [Fact]
    public void Forgive_AsOfAResumedNode_ForgetsThem()
    {
        Place(new PlacementSpec { MaxFailures = 1 });
        See(InstanceStatus.Running);
        See(InstanceStatus.Failed);
        Assert.Equal(Verdict.ShouldGo, See(InstanceStatus.Running));
        memory.Failures.Forgive(self);
        Assert.Equal(Verdict.Stays, See(InstanceStatus.Running));
    }

    [Theory]
    [InlineData("front", "", Verdict.ShouldGo)]
    [InlineData("front", "front", Verdict.Stays)]
    [InlineData("back", "", Verdict.Stays)]
    public void Vip_WithADoorThatCannotBeOpened_GoesOnlyWhereItCanBe(string shutHere, string shutThere, Verdict verdict)
    {
        var other = new NodeName("n2");
        var spec = SmallSpec.Of([self, other]);
        known.State = ClusterState.Empty with
        {
            Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(spec with
            {
                Vips = new[] { "back", "front" }.ToDictionary(name => name, name => new VipSpec { Name = name, Address = IPAddress.Parse("203.0.113.10"), PrefixLength = 24 }),
                Nodes = spec.Nodes.ToDictionary(pair => pair.Key, pair => pair.Value with { Public = IPAddress.Parse("203.0.113.1") }),
            }, 1),
        };
        known.Awake = at;
        known.Own = new NodeFacts { Guard = owner.Session, Ready = true, Held = [new HeldLease(ResourceId.Vip("front"), owner.Epoch)], Shut = [new ShutDoor(shutHere, "in use")] };
        var sent = known.Peers.NextSequence(at);
        known.Peers.Receive(new Beat
        {
            Sender = other, Session = 1, Sequence = 1, Incarnation = 1, Revision = 1, Controller = null, Heard = [new Echo(self, 1, sent)],
            Facts = new NodeFacts { Guard = new(9), Ready = true, Shut = shutThere.Length == 0 ? [] : [new ShutDoor(shutThere, "in use")] },
        }, at, known.Timings);
        _ = known.Peers.Judge(at, known.Timings).ToList();
        memory.Observe();
        Assert.Equal(verdict, judge.Judge(ResourceId.Vip("front"), owner).Verdict);
    }

    private void Place(PlacementSpec placement) => known.State = ClusterState.Empty with
    {
        Incarnation = 1,
        Spec = new Versioned<ClusterSpec>(SmallSpec.Of([self], new ServiceSpec
        {
            Name = "web", Redundancy = Redundancy.Cold, Activity = Activity.SingleActive, Instances = 1,
            Driver = new ProcessDriverSpec { Command = ["web"] }, Placement = placement,
        }), 1),
    };

    /// <summary>A beat later the owner's instance looks so.</summary>
    private Verdict See(InstanceStatus status, int restarts = 0)
    {
        at += TimeSpan.FromMilliseconds(30);
        known.Awake = at;
        known.Own = new NodeFacts
        {
            Instances = [new InstanceFacts("web", status, Health.Healthy) { Epoch = owner.Epoch, Restarts = restarts }],
            Held = [new HeldLease(resource, owner.Epoch)], Guard = owner.Session, Ready = true,
        };
        memory.Observe();
        return judge.Judge(resource, owner).Verdict;
    }
}

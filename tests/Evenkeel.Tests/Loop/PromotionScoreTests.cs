using System.Collections.Immutable;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>Who gets a service whose standbys follow by a resource agent, once its owner is lost: what the agent says of each of them decides.</summary>
public sealed class PromotionScoreTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName lost = new("n2");
    private static readonly NodeName other = new("n3");
    private static readonly ResourceId resource = ResourceId.Service("cache");
    private static readonly InstanceFacts starting = new("cache", InstanceStatus.Starting, Health.Unknown) { PromotionScore = 100 };
    private readonly StateCodec codec = new("t");

    [Fact]
    public void HighestScore_Wins() => Assert.Equal(other, NextOwner(Standby(1), Standby(100)));

    [Fact]
    public void FirstSyncUnderWay_IsNotPromoted_TheOtherIs() => Assert.Equal(other, NextOwner(starting, Standby(1)));

    /// <summary>n1 runs nothing of it: started anew it would be empty, and the others would follow that.</summary>
    [Fact]
    public void FirstSyncUnderWay_NobodyElse_WaitsForTheFormerOwner()
    {
        Assert.Null(NextOwner(null, starting));
        Assert.Null(NextOwner(starting, null));
    }

    /// <summary>A standby on a further node would find nobody to copy from.</summary>
    [Theory, InlineData(InstanceStatus.Starting, false), InlineData(InstanceStatus.Running, true)]
    public void OwnerLost_AFurtherNodeGetsAStandbyOnlyWhenSomebodyActs(InstanceStatus status, bool acts)
    {
        var theirs = new InstanceFacts("cache", status, Health.Healthy) { PromotionScore = 1, Epoch = acts ? new Epoch(1, 4) : null };
        var committed = Committed(null, theirs, new Owner(lost, new GuardSession(8), new Epoch(1, 3)), [lost, other]);
        Assert.Equal(acts, committed.Assignments.TryGetValue("cache", out var record) && record.Value.Nodes.Contains(self));
    }

    [Theory, InlineData(InstanceFacts.NoPromotionScore), InlineData(-InstanceFacts.InfiniteScore)]
    public void ScoreIsNegativeOrNone_IsNotPromoted(int score) => Assert.Null(NextOwner(null, Standby(score)));

    [Fact]
    public void ScoreOfZero_MayBePromotedAsInPacemaker() => Assert.Equal(other, NextOwner(Standby(-1), Standby(0)));

    [Fact]
    public void AgentOfBeforeScoresWereTold_MayBePromotedAfterThoseThatSay()
    {
        Assert.Equal(other, NextOwner(null, Standby(null)));
        Assert.Equal(self, NextOwner(Standby(1), Standby(null)));
    }

    [Fact]
    public void NobodyWasEverPromoted_ScoresAreNotWaitedFor()
    {
        Assert.NotNull(NextOwner(null, null, first: true));
        Assert.NotNull(NextOwner(Standby(-1), Standby(-1), first: true));
        Assert.Equal(other, NextOwner(Standby(-1), Standby(5), first: true));
        Assert.Null(NextOwner(Standby(-InstanceFacts.InfiniteScore), Standby(-InstanceFacts.InfiniteScore), first: true));
    }

    [Fact]
    public void BannedThere_TheOtherGetsIt() => Assert.Equal(self, NextOwner(Standby(1), Standby(100) with { Ban = Ban.Here }));

    [Fact]
    public void BannedEverywhere_NobodyGetsIt() => Assert.Null(NextOwner(Standby(1), Standby(100) with { Ban = Ban.Everywhere }));

    [Theory, InlineData(Ban.Here, true), InlineData(Ban.Everywhere, false)]
    public void OwnerIsBanned_LeavesWhereItRunsElsewhere(Ban ban, bool leaves)
    {
        var owner = new InstanceFacts("cache", InstanceStatus.Failed, Health.Unhealthy) { Ban = ban, Detail = "not installed" };
        var record = Decided(owner, Standby(100), new Owner(self, new GuardSession(7), new Epoch(1, 3)));
        Assert.Equal(leaves, record is { Current: null, Intended: not null });
    }

    private NodeName? NextOwner(InstanceFacts? mine, InstanceFacts? theirs, bool first = false) =>
        Decided(mine, theirs, first ? null : new Owner(lost, new GuardSession(8), new Epoch(1, 3)))?.Current?.Node;

    /// <summary>Null when nothing is committed of it.</summary>
    private Ownership? Decided(InstanceFacts? mine, InstanceFacts? theirs, Owner? owner) =>
        Committed(mine, theirs, owner, [self, other]).Ownerships.TryGetValue(resource, out var record) ? record.Value : null;

    /// <summary>What n1 commits, which hears n3.</summary>
    private ClusterState Committed(InstanceFacts? mine, InstanceFacts? theirs, Owner? owner, NodeName[] assigned)
    {
        var known = new Knowledge(self, new PeerTable(self, 1, twoWay: false)) { HasState = true, StoreReachable = true, Awake = TimeSpan.FromSeconds(100) };
        var service = new ServiceSpec
        {
            Name = "cache", Redundancy = Redundancy.Warm, Activity = Activity.SingleActive, Instances = 1, Driver = new OcfDriverSpec { Agent = "heartbeat:redis" },
        };
        known.State = ClusterState.Empty with
        {
            Revision = 10,
            Incarnation = 1,
            Controller = new(new Controller(self, 1), 1),
            Spec = new(SmallSpec.Of([self, lost, other], service), 2),
            Assignments = ImmutableSortedDictionary<string, Versioned<Assignment>>.Empty.Add("cache", new(new Assignment("cache", assigned), 4)),
        };
        if (owner is not null) known.State = known.State with { Ownerships = known.State.Ownerships.Add(resource, new(new Ownership(resource, owner, owner.Epoch), 5)) };
        known.Own = new NodeFacts { Guard = new GuardSession(7), Ready = true, Instances = mine is null ? [] : [mine] };
        known.Peers.Receive(new Beat
        {
            Sender = other, Session = 5, Sequence = 1, Revision = 10, Incarnation = 1,
            Facts = new NodeFacts { Guard = new GuardSession(9), Ready = true, Instances = theirs is null ? [] : [theirs] }, Heard = [new Echo(self, 1, 0), new Echo(lost, 1, 0)],
        }, known.Awake, known.Timings);
        _ = known.Peers.Judge(known.Awake, known.Timings).ToList();

        var (memory, batch, desk) = (new ControllerMemory(known), new DecisionBatch(known, codec), new CommitDesk(known, new RequestIds(1)));
        new ServiceDecisions(known, memory, new OwnerJudge(known, memory), new FenceDecisions(known)).Decide(batch, settled: true);
        if (!batch.IsEmpty) batch.Propose(desk);
        return codec.Apply(ClusterState.Empty, new WatchBatch(11,
            [.. known.TakeEffects().OfType<Commit>().SelectMany(commit => commit.Transaction.Writes).Where(one => one.Value is not null).Select(one => new StoreEntry(one.Key, one.Value!.Value, 11))], []));
    }

    private static InstanceFacts Standby(int? score) => new("cache", InstanceStatus.Running, Health.Healthy) { PromotionScore = score };
}

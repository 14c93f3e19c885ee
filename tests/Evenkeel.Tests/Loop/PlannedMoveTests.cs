using System.Collections.Immutable;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>Who gets a database that commits by quorum and was freed for an operator's move, once both standbys have said what they have.</summary>
public sealed class PlannedMoveTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName former = new("n2");
    private static readonly NodeName wished = new("n3");
    private static readonly ResourceId resource = ResourceId.Service("db");
    private readonly StateCodec codec = new("t");

    [Fact]
    public void WishedNode_HasEverything_GetsItAndTheWishStays()
    {
        var writes = Decided(mine: 100, theirs: 100);
        Assert.Equal(wished, OwnerIn(writes));
        Assert.DoesNotContain(writes, write => write.Key == codec.Keys.Move(resource));
    }

    /// <summary>With the wish still there it would move on at once, and back, for as long as the other has more.</summary>
    [Fact]
    public void WishedNode_HasLess_TheOtherGetsItAndTheWishIsOver()
    {
        var writes = Decided(mine: 101, theirs: 100);
        Assert.Equal(self, OwnerIn(writes));
        Assert.Contains(writes, write => write.Key == codec.Keys.Move(resource) && write.Value is null);
    }

    /// <summary>n2 has ended in order; n1, the controller, and n3 follow nobody any more.</summary>
    private IReadOnlyList<Write> Decided(long mine, long theirs)
    {
        var known = new Knowledge(self, new PeerTable(self, 1, twoWay: false)) { HasState = true, StoreReachable = true };
        known.State = ClusterState.Empty with
        {
            Revision = 10,
            Incarnation = 1,
            Format = StateFormat.QuorumSets,
            Controller = new(new Controller(self, 1), 1),
            Spec = new(SmallSpec.Of([self, former, wished], SmallSpec.Database(3)), 2),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource,
                new(new Ownership(resource, null, new Epoch(1, 3)) { Previous = former, Intended = wished, Reason = "moved by an operator" }, 5)),
            Assignments = ImmutableSortedDictionary<string, Versioned<Assignment>>.Empty.Add("db", new(new Assignment("db", [self, former, wished]), 4)),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add("db", new(new SyncSet("db", new Epoch(1, 3), [former, self, wished]) { Any = 1, Data = "7" }, 3)),
            Moves = ImmutableSortedDictionary<ResourceId, Versioned<MoveRequest>>.Empty.Add(resource, new(new MoveRequest(resource, wished), 4)),
        };
        known.Own = Facts(7, Standby(mine));
        Beats(former, Facts(8, new InstanceFacts("db", InstanceStatus.Stopped, Health.Unknown)));
        Beats(wished, Facts(9, Standby(theirs)));
        _ = known.Peers.Judge(known.Awake, known.Timings).ToList();

        var (memory, batch, desk) = (new ControllerMemory(known), new DecisionBatch(known, codec), new CommitDesk(known, new RequestIds(1)));
        new ServiceDecisions(known, memory, new OwnerJudge(known, memory), new FenceDecisions(known)).Decide(batch, settled: true);
        batch.Propose(desk);
        return known.TakeEffects().OfType<Commit>().Single().Transaction.Writes;

        void Beats(NodeName node, NodeFacts facts) => known.Peers.Receive(new Beat
        {
            Sender = node, Session = 5, Sequence = 1, Revision = 10, Incarnation = 1, Facts = facts,
            Heard = [.. new[] { self, former, wished }.Where(other => other != node).Select(other => new Echo(other, 1, 0))],
        }, known.Awake, known.Timings);
    }

    private NodeName? OwnerIn(IReadOnlyList<Write> writes)
    {
        var write = writes.Single(one => one.Key == codec.Keys.Owner(resource));
        return codec.Apply(ClusterState.Empty, new WatchBatch(11, [new StoreEntry(write.Key, write.Value!.Value, 11)], [])).Ownerships[resource].Value.Current?.Node;
    }

    private static NodeFacts Facts(ulong guard, InstanceFacts instance) => new() { Guard = new GuardSession(guard), Ready = true, Instances = [instance] };

    private static InstanceFacts Standby(long position) =>
        new("db", InstanceStatus.Running, Health.Healthy) { Position = position, Replication = new ReplicationFacts { Data = "7", Timeline = 1 } };
}

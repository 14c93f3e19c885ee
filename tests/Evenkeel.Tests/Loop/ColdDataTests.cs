using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>Nobody follows a cold database: that another node was active since is known by the epoch of what was written last.</summary>
public sealed class ColdDataTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName other = new("n2");
    private static readonly ResourceId resource = ResourceId.Service("db");
    private static readonly Epoch before = new(1, 2);
    private static readonly Epoch epoch = new(1, 3);
    private readonly StateCodec codec = new("t");
    private readonly LocalInstance local = new("db");

    [Fact]
    public void Owner_OfColdData_NeedsWhatWasWrittenLastAndAcknowledgesNothingBeforeItSaidThatItWrites()
    {
        var known = new Knowledge(self, new PeerTable(self, 1, twoWay: false)) { HasState = true };
        var ids = new RequestIds(1);
        var guard = new GuardSide(known, ids, new DoorPolicy(null));
        var desk = new CommitDesk(known, ids);
        var replication = new ReplicationSide(known, guard, desk);
        known.State = ClusterState.Empty with
        {
            Revision = 10, Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(SmallSpec.Of([self, other], SmallSpec.Database(1) with { Redundancy = Redundancy.Cold }), 1),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource, new(new Ownership(resource, new Owner(self, new GuardSession(7), epoch), epoch), 2)),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add("db", new(new SyncSet("db", before, [other]) { Data = "7", Wrote = before }, 4)),
        };
        guard.OnMessage(new GuardHello(new GuardSession(7), 1, [], [new HeldLease(resource, epoch)], []));

        SyncSet? Written()
        {
            replication.OnTick(codec, new Dictionary<string, LocalInstance> { ["db"] = local });
            if (known.TakeEffects().OfType<Commit>().SingleOrDefault() is not { } commit) return null;
            var revision = known.State.Revision + 1;
            var done = Assert.IsType<SyncSetProposal>(desk.OnCompleted(new CommitCompleted(commit.Transaction.RequestId, new CommitResult(CommitOutcome.Committed, revision))));
            known.State = known.State with { Revision = revision, SyncSets = known.State.SyncSets.SetItem("db", new(done.Set, revision)) };
            replication.OnDecided(done, new CommitResult(CommitOutcome.Committed, revision));
            return done.Set;
        }

        Assert.Equal((epoch, before), (Written()!.Epoch, known.SyncSetOf("db")!.Value.Value.Wrote));
        Assert.Null(Written()); // a start that fails leaves the other's data the latest
        var order = replication.OrderFor(known.Services["db"])!;
        Assert.Equal((before, true), (order.Wrote, order.Strict));

        local.Facts = new InstanceFacts("db", InstanceStatus.Running, Health.Healthy) { Epoch = epoch, Replication = new ReplicationFacts { Data = "7" } };
        Assert.Equal(epoch, Written()!.Wrote);
        Assert.Null(Written());
        order = replication.OrderFor(known.Services["db"])!;
        Assert.Equal((epoch, false), (order.Wrote, order.Strict));
    }
}

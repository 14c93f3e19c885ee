using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
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
        var agent = new SmallAgent(self);
        var (known, replication) = (agent.Known, agent.Replication);
        known.State = ClusterState.Empty with
        {
            Revision = 10, Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(SmallSpec.Of([self, other], SmallSpec.Database(1) with { Redundancy = Redundancy.Cold }), 1),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource, new(new Ownership(resource, new Owner(self, SmallAgent.Session, epoch), epoch), 2)),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add("db", new(new SyncSet("db", before, [other]) { Data = "7", Wrote = before }, 4)),
        };
        agent.Greet(new HeldLease(resource, epoch));

        SyncSet? Written()
        {
            replication.OnTick(codec, new Dictionary<string, LocalInstance> { ["db"] = local });
            return agent.Commit(known.TakeEffects());
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

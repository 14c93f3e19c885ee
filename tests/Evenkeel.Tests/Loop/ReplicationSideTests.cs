using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>When the owner of a synchronous service writes that a standby does not have everything any more.</summary>
public sealed class ReplicationSideTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName standby = new("n2");
    private static readonly NodeName third = new("n3");
    private static readonly ResourceId resource = ResourceId.Service("db");
    private static readonly Epoch epoch = new(1, 3);
    private static readonly TimeSpan step = TimeSpan.FromMilliseconds(10);

    private readonly SmallAgent agent = new(self);
    private readonly Knowledge known;
    private readonly ReplicationSide replication;
    private readonly StateCodec codec = new("t");
    private readonly LocalInstance local = new("db");

    public ReplicationSideTests()
    {
        (known, replication) = (agent.Known, agent.Replication);
        known.State = ClusterState.Empty with
        {
            Revision = 10,
            Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(SmallSpec.Of([self, standby, third], SmallSpec.Database(3)), 1),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource, new(new Ownership(resource, new Owner(self, SmallAgent.Session, epoch), epoch), 2)),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add("db", new(new SyncSet("db", epoch, [self, standby]) { Data = "7" }, 4)),
        };
        agent.Greet(new HeldLease(resource, epoch));
        local.Facts = new InstanceFacts("db", InstanceStatus.Running, Health.Healthy)
        {
            Epoch = epoch, Replication = new ReplicationFacts { Data = "7", Followers = [standby], Required = [standby], Any = 1, Synchronous = [standby] },
        };
        // What an agent writes first in its life.
        Assert.Equal([self, standby], Written(TimeSpan.FromMilliseconds(100), [standby, third])?.Members);
        Assert.Null(Written(TimeSpan.FromSeconds(1), [standby, third]));
    }

    [Fact]
    public void Standby_Silent_IsOutWhileTheThirdIsHeard() => Assert.Equal([self], Written(TimeSpan.FromSeconds(1), [third])?.Members);

    /// <summary>Its guard has killed what writes, and waits until that has ended: the lease still counts as held, and the store hears a deaf node.</summary>
    [Fact]
    public void Owner_HearsNobody_WritesNothing() => Assert.Null(Written(TimeSpan.FromSeconds(2), []));

    /// <summary>Peers are heard again one after the other: the first to be heard does not make the others lost.</summary>
    [Fact]
    public void Owner_HearsAMajorityAgain_WaitsForTheStandbyFromThen()
    {
        Assert.Null(Written(TimeSpan.FromSeconds(2), []));
        Assert.Null(Written(known.Timings.Lease, [third]));
        Assert.Equal([self], Written(TimeSpan.FromSeconds(1), [third])?.Members);
    }

    [Fact]
    public void Standby_DoesNotFollow_IsOutOnceVotersAreHeard()
    {
        local.Facts = local.Facts with { Replication = local.Facts.Replication! with { Followers = [] } };
        Assert.Null(Written(TimeSpan.FromMilliseconds(50), [standby, third]));
        Assert.Equal([self], Written(TimeSpan.FromSeconds(1), [standby, third])?.Members);
    }

    /// <summary>Somebody has changed by ALTER SYSTEM what commits wait for.</summary>
    [Fact]
    public void Standby_ThatCommitsDoNotWaitFor_IsOutAtOnce()
    {
        local.Facts = local.Facts with { Replication = local.Facts.Replication! with { Required = [], Any = 0, Synchronous = [] } };
        Assert.Equal([self], Written(step, [standby, third])?.Members);
    }

    [Fact]
    public void Standby_ThatCommitsDidNotWaitForForAMoment_IsOutThoughTheyWaitAgain()
    {
        var waits = local.Facts;
        local.Facts = local.Facts with { Replication = local.Facts.Replication! with { Required = [standby, third], Any = 1 } };
        Assert.Equal([self], Written(step, [standby, third])?.Members);
        local.Facts = waits with { Replication = waits.Replication! with { Synchronous = [] } };
        Assert.Null(Written(TimeSpan.FromSeconds(1), [standby, third]));
        local.Facts = waits;
        local.Told = replication.OrderFor(known.Services["db"]);
        Assert.Equal([self, standby], Written(TimeSpan.FromSeconds(1), [standby, third])?.Members);
    }

    /// <summary>What is proposed within the time while these peers beat; it is committed at once.</summary>
    private SyncSet? Written(TimeSpan within, NodeName[] heard)
    {
        for (var until = known.Awake + within; known.Awake < until; known.Awake += step)
        {
            foreach (var peer in heard) agent.Hear(peer, new NodeFacts { Instances = peer == standby ? [new InstanceFacts("db", InstanceStatus.Running, Health.Healthy)] : [] });
            agent.JudgePeers();
            replication.OnTick(codec, new Dictionary<string, LocalInstance> { ["db"] = local });
            if (agent.Commit(known.TakeEffects()) is { } set) return set;
        }

        return null;
    }
}

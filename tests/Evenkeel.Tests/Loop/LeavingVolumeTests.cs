using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>A leg is lost while the volume is being taken from its writer: whoever works on it waits for a write, and cannot end.</summary>
public sealed class LeavingVolumeTests
{
    private const string Name = "volume/files";
    private static readonly NodeName self = new("n1"), other = new("n2"), third = new("n3");
    private static readonly ResourceId resource = ResourceId.Volume("files");
    private static readonly Epoch epoch = new(1, 3);
    private static readonly TimeSpan step = TimeSpan.FromMilliseconds(10);

    private readonly SmallAgent agent = new(self);
    private readonly Knowledge known;
    private readonly InstanceSide instances;
    private readonly StateCodec codec = new("t");
    private readonly List<InstanceAction> actions = [];
    private ulong version;

    public LeavingVolumeTests()
    {
        (known, instances) = (agent.Known, agent.Instances);
        var volume = new VolumeSpec { Name = "files", Level = 1, Size = 1 << 30, Legs = [new(self, "/leg"), new(other, "/leg")] };
        var user = new ServiceSpec { Name = "ledger", Instances = 1, Driver = new ProcessDriverSpec { Command = ["./ledger"] }, Mounts = [new("files", "/srv")], Activity = Activity.SingleActive, Redundancy = Redundancy.Cold };
        var spec = SmallSpec.Of([self, other, third], user) with { Volumes = new Dictionary<string, VolumeSpec> { ["files"] = volume } };
        known.State = ClusterState.Empty with
        {
            Revision = 10,
            Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(spec, 1),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource, new(new Ownership(resource, new Owner(self, SmallAgent.Session, epoch), epoch), 2)),
            Assignments = ImmutableSortedDictionary<string, Versioned<Assignment>>.Empty.Add(Name, new(new Assignment(Name, [self, other]), 3)),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add(Name, new(new SyncSet(Name, epoch, [self, other]) { Data = "7" }, 4)),
        };
        agent.Greet(new HeldLease(resource, epoch));
        instances.OnChanged(Writes([other]));
        instances.OnChanged(new InstanceFacts("ledger", InstanceStatus.Stopping, Health.Healthy) { Epoch = epoch });
        // What an agent writes and says first in its life.
        Assert.Equal([self, other], Written(TimeSpan.FromMilliseconds(300))?.Members);
        Assert.Null(Written(TimeSpan.FromSeconds(1)));
        Assert.Equal([other], Assert.IsType<StartInstance>(Assert.Single(actions)).Order.Replication!.Required);
        actions.Clear();
    }

    [Fact]
    public void Leg_LostWhileTheVolumeLeaves_IsPutOutAndTheWriterHearsOfIt()
    {
        Own(null, self);
        Assert.Null(Written(TimeSpan.FromSeconds(1)));
        Assert.Empty(actions); // Its service has not ended.
        instances.OnChanged(Writes([]));
        Assert.Equal([self], Written(TimeSpan.FromSeconds(1))?.Members);
        Assert.Null(Written(TimeSpan.FromMilliseconds(100)));
        var told = Assert.IsType<StartInstance>(Assert.Single(actions)).Order;
        Assert.Equal(epoch, told.Epoch);
        Assert.Empty(told.Replication!.Required);
        // Then its service can end, and it is given up.
        instances.OnChanged(new InstanceFacts("ledger", InstanceStatus.Stopped, Health.Unknown));
        Assert.Null(Written(TimeSpan.FromMilliseconds(100)));
        Assert.IsType<DemoteInstance>(actions[^1]);
    }

    /// <summary>Its transaction compares the record; but what it would be told is not what it may do.</summary>
    [Fact]
    public void Leg_LostWhenTheNextOwnerIsCommitted_IsPutOutByThatOneAlone()
    {
        Own(new Owner(other, new GuardSession(8), new Epoch(1, 4)), self);
        instances.OnChanged(Writes([]));
        Assert.Null(Written(TimeSpan.FromSeconds(2)));
    }

    [Fact]
    public void Leg_FollowsWhileTheVolumeLeaves_IsNotTakenIn()
    {
        known.State = known.State with { SyncSets = known.State.SyncSets.SetItem(Name, new(new SyncSet(Name, epoch, [self]) { Data = "7" }, known.State.Revision)) };
        Own(null, self);
        instances.OnChanged(Writes([other]) with { Replication = Writes([other]).Replication! with { Synchronous = [other], Required = [other] } });
        Assert.Null(Written(TimeSpan.FromSeconds(2)));
    }

    private InstanceFacts Writes(IReadOnlyList<NodeName> followers) => new(Name, InstanceStatus.Running, Health.Healthy)
    {
        Epoch = epoch, Version = version, Replication = new ReplicationFacts { Data = "7", Followers = followers, Required = [other], Synchronous = followers },
    };

    private void Own(Owner? owner, NodeName previous) => known.State = known.State with
    {
        Revision = known.State.Revision + 1,
        Ownerships = known.State.Ownerships.SetItem(resource, new(new Ownership(resource, owner, owner?.Epoch ?? epoch) { Previous = previous }, known.State.Revision + 1)),
    };

    /// <summary>What is proposed within the time; it is committed at once, and what the instances shall do succeeds.</summary>
    private SyncSet? Written(TimeSpan within)
    {
        for (var until = known.Awake + within; known.Awake < until; known.Awake += step)
        {
            agent.Hear(other, new NodeFacts { Instances = [new InstanceFacts(Name, InstanceStatus.Running, Health.Healthy)] });
            agent.Hear(third, new NodeFacts());
            agent.JudgePeers();
            agent.Guard.Reconcile(codec.Keys, instances.IsQuiet);
            agent.Replication.OnTick(codec, instances.Instances);
            instances.Reconcile();
            var effects = known.TakeEffects();
            foreach (var action in effects.OfType<InstanceAction>().Where(action => action.Service == Name))
            {
                actions.Add(action);
                if (action is StartInstance start) instances.OnChanged(instances.Instances[Name].Facts with { Version = version = start.Order.Version });
                instances.OnCompleted(new ActionCompleted(action.ActionId, Core.Loop.Ports.ActionResult.Success));
            }

            if (agent.Commit(effects) is { } set) return set;
        }

        return null;
    }
}

using System.Collections.Immutable;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>A volume with legs on n1 (its writer) and n2, and an asynchronous one on n3, with n4 and n5 to vote: what is committed of it, and who goes on with it.</summary>
public sealed class AsynchronousLegTests
{
    private const string Name = "volume/files";
    private static readonly NodeName n1 = new("n1"), n2 = new("n2"), n3 = new("n3"), n4 = new("n4"), n5 = new("n5");
    private static readonly ResourceId resource = ResourceId.Volume("files");
    private static readonly Epoch epoch = new(1, 3);
    private static readonly TimeSpan step = TimeSpan.FromMilliseconds(10);
    private readonly StateCodec codec = new("t");
    private readonly List<InstanceAction> actions = [];
    private ulong version;

    private static VolumeSpec Volume(bool acceptLoss) => new()
    {
        Name = "files", Level = 1, Size = 1 << 30, Legs = [new(n1, "/leg"), new(n2, "/leg"), new(n3, "/leg")], Asynchronous = [n3], AcceptLoss = acceptLoss,
    };

    private static ClusterState State(VolumeSpec volume, SyncSet set, Owner? owner)
    {
        var user = new ServiceSpec { Name = "ledger", Instances = 1, Driver = new ProcessDriverSpec { Command = ["./ledger"] }, Mounts = [new("files", "/srv")], Activity = Activity.SingleActive, Redundancy = Redundancy.Cold };
        return ClusterState.Empty with
        {
            Revision = 10,
            Incarnation = 1,
            Spec = new Versioned<ClusterSpec>(SmallSpec.Of([n1, n2, n3, n4, n5], user) with { Volumes = new Dictionary<string, VolumeSpec> { ["files"] = volume } }, 1),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource, new(new Ownership(resource, owner, epoch), 2)),
            Assignments = ImmutableSortedDictionary<string, Versioned<Assignment>>.Empty.Add(Name, new(new Assignment(Name, [n1, n2, n3]), 3)),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add(Name, new(set, 4)),
        };
    }

    private SmallAgent Writer(VolumeSpec volume, params NodeName[] members)
    {
        var agent = new SmallAgent(n1);
        agent.Known.State = State(volume, new SyncSet(Name, epoch, members) { Data = "7" }, new Owner(n1, SmallAgent.Session, epoch));
        agent.Greet(new HeldLease(resource, epoch));
        agent.Instances.OnChanged(Writes(Lag.Behind, held: false));
        Assert.NotNull(Written(agent, TimeSpan.FromMilliseconds(300))); // What an agent writes first in its life.
        return agent;
    }

    [Fact]
    public void Leg_ThatFollows_IsHeldFirstAndThenNamed_AndIsNoMember()
    {
        var agent = Writer(Volume(acceptLoss: true), n1, n2);
        agent.Instances.OnChanged(Writes(Lag.Following, held: false));
        Assert.Null(Written(agent, TimeSpan.FromSeconds(1)));
        Assert.Equal([n3], Orders().Last().Held);
        Assert.Equal([n2], Orders().Last().Required);
        agent.Instances.OnChanged(Writes(Lag.Following, held: true));
        var set = Written(agent, TimeSpan.FromSeconds(1));
        Assert.Equal([n3], set?.Following);
        Assert.Equal([n1, n2], set?.Members);
        Assert.Null(Written(agent, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void Leg_ThatFellBehind_IsNamedNoMoreBeforeItsWriterMayLeaveIt()
    {
        var agent = Writer(Volume(acceptLoss: true), n1, n2);
        agent.Instances.OnChanged(Writes(Lag.Following, held: true));
        Assert.Equal([n3], Written(agent, TimeSpan.FromSeconds(1))?.Following);
        Assert.Equal([n3], Orders().Last().Held);
        agent.Instances.OnChanged(Writes(Lag.Behind, held: true));
        Assert.Null(Written(agent, TimeSpan.FromSeconds(1))!.Following);
        Assert.Null(Written(agent, TimeSpan.FromMilliseconds(200)));
        Assert.Empty(Orders().Last().Held);
    }

    [Fact]
    public void Leg_WhereNoLossIsAccepted_IsNamedButHoldsNothingUp()
    {
        var agent = Writer(Volume(acceptLoss: false), n1, n2);
        agent.Instances.OnChanged(Writes(Lag.Following, held: false));
        Assert.Equal([n3], Written(agent, TimeSpan.FromSeconds(1))?.Following);
        Assert.All(Orders(), order => Assert.Empty(order.Held));
    }

    [Fact]
    public void Leg_ThatBecameAsynchronous_LeavesTheSetThoughItIsInSync()
    {
        var agent = Writer(Volume(acceptLoss: false), n1, n2, n3);
        Assert.Equal([n1, n2], Written(agent, TimeSpan.FromSeconds(1))?.Members);
    }

    /// <summary>On n3, which hears of n1 and n2 no more. Not decided for silence of a moment, nor without consent, nor with a leg that says that it is being filled.</summary>
    [Theory]
    [InlineData(true, true, 13L, 5.0, "n3")]
    [InlineData(false, true, 13L, 5.0, null)]
    [InlineData(true, false, 13L, 5.0, null)]
    [InlineData(true, true, 0L, 5.0, null)]
    [InlineData(true, true, 13L, 0.5, null)]
    public void EveryLegInSync_Lost_TheOneThatFollowedGoesOnIfThatIsAccepted(bool accept, bool followed, long position, double after, string? members)
    {
        var decided = Decided(accept, followed ? [n3] : null, position, TimeSpan.FromSeconds(after), n2Lives: false);
        Assert.Equal(members, decided is null ? null : string.Join(",", decided.Members));
        if (decided is not null) Assert.Contains("may lack the last 67108864 bytes", decided.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void OneLegInSync_IsLeft_NothingIsGivenUp() => Assert.Null(Decided(accept: true, [n3], 13, TimeSpan.FromSeconds(5), n2Lives: true));

    /// <summary>What the controller on n3 writes into the sync set; null when nothing.</summary>
    private SyncSet? Decided(bool accept, IReadOnlyList<NodeName>? following, long position, TimeSpan after, bool n2Lives)
    {
        var agent = new SmallAgent(n3);
        var known = agent.Known;
        known.State = State(Volume(accept), new SyncSet(Name, epoch, [n1, n2]) { Data = "7", Following = following }, new Owner(n1, new GuardSession(9), epoch));
        known.Own = new NodeFacts { Guard = new GuardSession(7), Ready = true, Instances = [new InstanceFacts(Name, InstanceStatus.Running, Health.Healthy) { Position = position, Replication = new ReplicationFacts { Data = "7" } }] };
        known.StoreReachable = true;
        for (var until = known.Awake + after; known.Awake < until; known.Awake += step)
        {
            // Silent from its first beat on.
            if (n2Lives || known.Awake == TimeSpan.Zero) agent.Hear(n2, new NodeFacts { Guard = new GuardSession(8), Ready = true });
            foreach (var voter in new[] { n4, n5 }) agent.Hear(voter, new NodeFacts { Guard = new GuardSession(6) });
            if (known.Awake == TimeSpan.Zero) agent.Hear(n1, new NodeFacts { Guard = new GuardSession(9), Ready = true });
            agent.JudgePeers();
        }

        known.State = known.State with { Controller = new(new Controller(n3, 1), 5) };
        var (memory, batch) = (new ControllerMemory(known), new DecisionBatch(known, codec));
        new ServiceDecisions(known, memory, new OwnerJudge(known, memory), new FenceDecisions(known)).Decide(batch, settled: true);
        batch.Propose(agent.Desk);
        return known.TakeEffects().OfType<Commit>().SelectMany(commit => commit.Transaction.Writes).Where(write => write.Key == codec.Keys.Sync(Name))
            .Select(write => System.Text.Json.JsonSerializer.Deserialize(write.Value!.Value.Span, StateJson.Default.SyncSet)).SingleOrDefault();
    }

    private IEnumerable<ReplicationOrder> Orders() => actions.OfType<StartInstance>().Select(start => start.Order.Replication!);

    private InstanceFacts Writes(Lag lag, bool held) => new(Name, InstanceStatus.Running, Health.Healthy)
    {
        Epoch = epoch, Version = version,
        Replication = new ReplicationFacts { Data = "7", Followers = [n2, n3], Required = [n2], Synchronous = [n2], Asynchronous = [new AsynchronousLeg(n3, lag, 0, TimeSpan.Zero, held, "")] },
    };

    /// <summary>What is proposed within the time; it is committed at once, and what the instances shall do succeeds.</summary>
    private SyncSet? Written(SmallAgent agent, TimeSpan within)
    {
        var known = agent.Known;
        for (var until = known.Awake + within; known.Awake < until; known.Awake += step)
        {
            foreach (var other in new[] { n2, n3 }) agent.Hear(other, new NodeFacts { Instances = [new InstanceFacts(Name, InstanceStatus.Running, Health.Healthy)] });
            agent.JudgePeers();
            agent.Guard.Reconcile(codec.Keys, agent.Instances.IsQuiet);
            agent.Replication.OnTick(codec, agent.Instances.Instances);
            agent.Instances.Reconcile();
            var effects = known.TakeEffects();
            foreach (var action in effects.OfType<InstanceAction>().Where(action => action.Service == Name))
            {
                actions.Add(action);
                if (action is StartInstance start) agent.Instances.OnChanged(agent.Instances.Instances[Name].Facts with { Version = version = start.Order.Version });
                agent.Instances.OnCompleted(new ActionCompleted(action.ActionId, Core.Loop.Ports.ActionResult.Success));
            }

            if (agent.Commit(effects) is { } set) return set;
        }

        return null;
    }
}

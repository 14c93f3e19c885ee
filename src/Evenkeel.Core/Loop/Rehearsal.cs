using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Core.Loop;

/// <summary>
/// Some seconds of a small cluster's life, played in memory and at once: three loops come up, choose owners, give a virtual IP away
/// by plan, and lose their controller. Nothing outside hears of it. Whoever has played it has compiled what it decides with, before it
/// is needed: a loop that compiles in the midst of its first takeover stands still for longer than its guard bears.
/// </summary>
public sealed class Rehearsal
{
    private const int MostTurns = 200;
    private static readonly TimeSpan turn = Timings.Default.Beat;
    private static readonly ResourceId front = ResourceId.Vip("front"), jobs = ResourceId.Service("jobs");

    private readonly StateCodec codec = new("rehearsal");
    private readonly RequestIds ids = new(1);
    private readonly SortedDictionary<string, StoreEntry> records = new(StringComparer.Ordinal);
    private readonly SortedDictionary<NodeName, Actor> actors = [];
    private readonly List<Announcement> told = [];
    private Instant now = new(1_000_000_000, 1_000_000_000);
    private long revision = 1;

    private Rehearsal()
    {
    }

    /// <summary>Plays it to its end; says what was announced meanwhile, in order.</summary>
    public static IReadOnlyList<Announcement> Play() => new Rehearsal().PlayAll();

    private IReadOnlyList<Announcement> PlayAll()
    {
        var spec = Spec();
        Commit(new Transaction(ids.Next(), [], [codec.Put(spec), codec.PutIncarnation(1)]));
        foreach (var name in spec.Nodes.Keys) actors[name] = new Actor(this, name, new AgentLoop(spec.Cluster, name, new RequestIds(ids.NextNumber()), new DoorPolicy("pub0")));
        foreach (var actor in actors.Values) actor.ComeUp(new StoreRead(Snapshot()), new GuardSession(ids.NextNumber()));
        TurnUntil(() => Count(AnnouncementKind.Serving, front) > 0 && Count(AnnouncementKind.InstanceStarted) > spec.Nodes.Count);

        // An operator drains the owner; the next one's agent is restarted.
        if (OwnerOf(front) is { } owner)
        {
            Commit(new Transaction(ids.Next(), [], [codec.Put(new NodeRecord(owner, NodeMode.Draining))]));
            TurnUntil(() => Count(AnnouncementKind.Serving, front) > 1 && OwnerOf(jobs) != owner);
            Commit(new Transaction(ids.Next(), [], [new Write(codec.Keys.Node(owner), null)]));
            if (OwnerOf(front) is { } next) actors[next].Hear(new RestartAnnounced());
            TurnUntil(() => Count(AnnouncementKind.Serving, front) > 2);
        }

        if (State.Controller?.Value.Node is { } controller)
        {
            actors.Remove(controller);
            foreach (var actor in actors.Values) actor.Hear(new StoreLost("for a moment"));
            foreach (var actor in actors.Values) actor.Hear(new StoreRead(Snapshot()));
            TurnUntil(() => Count(AnnouncementKind.ControllerClaimed) > 1 && State.Ownerships.Values.All(one => one.Value.Current?.Node != controller));
        }

        return told;
    }

    private ClusterState State => codec.Read(Snapshot());

    private NodeName? OwnerOf(ResourceId resource) => State.Ownerships.TryGetValue(resource, out var record) ? record.Value.Current?.Node : null;

    private int Count(AnnouncementKind kind, ResourceId? resource = null) => told.Count(one => one.Kind == kind && (resource is null || one.Resource == resource));

    private void TurnUntil(Func<bool> reached)
    {
        for (var turns = 0; turns < MostTurns && !reached(); turns++)
        {
            now += turn;
            foreach (var actor in actors.Values.ToList()) actor.Turn();
        }
    }

    private StoreSnapshot Snapshot() => new(revision, [.. records.Values]);

    private CommitResult Commit(Transaction transaction)
    {
        if (transaction.Compares.Any(compare => (records.GetValueOrDefault(compare.Key)?.ModRevision ?? 0) != compare.ModRevision))
            return new CommitResult(CommitOutcome.Conflict, 0, "changed meanwhile");
        revision++;
        List<StoreEntry> put = [];
        List<string> deleted = [];
        foreach (var write in transaction.Writes)
        {
            if (write.Value is { } value) put.Add(records[write.Key] = new StoreEntry(write.Key, value, revision));
            else if (records.Remove(write.Key)) deleted.Add(write.Key);
        }
        foreach (var actor in actors.Values) actor.Hear(new StoreChanged(new WatchBatch(revision, put, deleted)));
        return new CommitResult(CommitOutcome.Committed, revision);
    }

    private static ClusterSpec Spec() => new()
    {
        Cluster = "rehearsal",
        Networks = new NetworksSpec(IPNetwork.Parse("203.0.113.0/24"), [IPNetwork.Parse("10.0.0.0/24")]),
        Nodes = Enumerable.Range(1, 3).Select(i => new NodeSpec
        {
            Name = new($"n{i}"), Public = IPAddress.Parse($"203.0.113.{i}"), Private = [IPAddress.Parse($"10.0.0.{i}")],
        }).ToDictionary(node => node.Name),
        Vips = new Dictionary<string, VipSpec> { [front.Name] = new() { Name = front.Name, Address = IPAddress.Parse("203.0.113.100"), PrefixLength = 24 } },
        Services = new[]
        {
            Service("web", Redundancy.Hot, Activity.Spread, 3) with { Publish = [new PublishSpec { Vip = front.Name, Port = 80, Protocol = PublishProtocol.Http }] },
            Service(jobs.Name, Redundancy.Cold, Activity.SingleActive, 1),
            Service("queue", Redundancy.Warm, Activity.SingleActive, 1),
        }.ToDictionary(service => service.Name),
        Timings = Timings.Default,
    };

    private static ServiceSpec Service(string name, Redundancy redundancy, Activity activity, int instances) => new()
    {
        Name = name, Redundancy = redundancy, Activity = activity, Instances = instances, Driver = new ProcessDriverSpec { Command = [name], Port = 5000 },
    };

    /// <summary>A node: its loop, and all that is around it, which always succeeds at once.</summary>
    private sealed class Actor(Rehearsal play, NodeName name, AgentLoop loop)
    {
        private readonly Queue<AgentEvent> waiting = [];

        public void Hear(AgentEvent happened) => waiting.Enqueue(happened);

        public void ComeUp(StoreRead read, GuardSession guard)
        {
            Hear(new NodeConditionChanged(PublicUp: true, LoadPerCore: 0, ListenersReady: true, WallClock: 0));
            Hear(read);
            Hear(new GuardReceived(new GuardHello(guard, 1, [], [], [])));
        }

        public void Turn()
        {
            // What follows from these comes with the next turn: no time passes within one.
            for (var count = waiting.Count; count > 0; count--) Step(waiting.Dequeue());
            Step(Tick.Instance);
        }

        private void Step(AgentEvent happened)
        {
            foreach (var effect in loop.Step(happened, play.now)) CarryOut(effect);
        }

        private void CarryOut(Effect effect)
        {
            switch (effect)
            {
                case SendBeat send when play.actors.TryGetValue(send.To, out var peer) && BeatCodec.Decode(BeatCodec.Encode(send.Beat)) is { } beat: peer.Hear(new BeatReceived(name, beat)); break;
                case Commit commit: Hear(new CommitCompleted(commit.Transaction.RequestId, play.Commit(commit.Transaction))); break;
                case ReadFloors floors: Hear(new FloorsRead(floors.Session, play.Commit(floors.Barrier).Revision, play.Snapshot())); break;
                case ToGuard { Message: LoopBeat beat }: Hear(new GuardReceived(new GuardBeat(beat.Sequence))); break;
                case ToGuard { Message: Acquire wish }: Hear(new GuardReceived(new LeaseChanged(wish.Resource, wish.Epoch, LeasePhase.Held, ""))); break;
                case ToGuard { Message: Release given }: Hear(new GuardReceived(new LeaseChanged(given.Resource, given.Epoch, LeasePhase.Ended, ""))); break;
                case QuietDoor quiet: Hear(new DoorQuiet(quiet.Resource, quiet.Epoch)); break;
                case CloseDoor close: Hear(new DoorClosed(close.Resource, close.Epoch)); break;
                case StartInstance start: Done(start, InstanceStatus.Running, start.Order.Epoch, start.Order.Version); break;
                case PromoteInstance promote: Done(promote, InstanceStatus.Running, promote.Epoch, 0); break;
                case DemoteInstance demote: Done(demote, InstanceStatus.Running, null, 0); break;
                case StopInstance stop: Done(stop, InstanceStatus.Stopped, null, 0); break;
                case Announce announce: play.told.Add(announce.Announcement); break;
            }
        }

        private void Done(InstanceAction action, InstanceStatus status, Epoch? epoch, ulong version)
        {
            Hear(new InstanceChanged(new InstanceFacts(action.Service, status, Health.Healthy) { Epoch = epoch, Version = version }));
            Hear(new ActionCompleted(action.ActionId, ActionResult.Success));
        }
    }
}

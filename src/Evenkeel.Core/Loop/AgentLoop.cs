using Evenkeel.Core.Backups;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop.Fencing;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Core.Loop;

/// <summary>
/// One agent's decisions: events in, effects out. Deterministic: the same events at the same instants give the same
/// effects, byte for byte; the simulator runs it unchanged. Not thread-safe: one loop, one thread.
/// </summary>
public sealed class AgentLoop
{
    private static readonly TimeSpan longestSilence = TimeSpan.FromSeconds(1);
    // A cluster in which nothing has happened for so long is at rest: what only time can change is looked at this often. Whatever
    // happens, the smallest change in a peer's beat too, ends the rest at once; silence is listened for at every tick.
    private static readonly TimeSpan restAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan lookAtRest = TimeSpan.FromMilliseconds(50);

    private readonly StateCodec codec;
    private readonly AwakeClock awake;
    private readonly Knowledge known;
    private readonly PeerTable peers;
    private readonly CommitDesk desk;
    private readonly CopyFreshness freshness;
    private readonly ControllerClaim claim;
    private readonly ControllerRole controller;
    private readonly GuardSide guard;
    private readonly ReplicationSide replication;
    private readonly InstanceSide instances;
    private readonly RestartSide restarts;
    private readonly FenceSide fencing;
    private readonly BackupSide backups;
    private readonly RouteBuilder routes;
    private readonly LagBook lags;
    private NodeConditionChanged condition = new(PublicUp: true, LoadPerCore: 0, ListenersReady: false, WallClock: 0);
    private IReadOnlyList<NodeConcern> concerns = [];
    private bool restarting, speaks, tooNew, moved;
    private TimeSpan nextBeat, lastBeat, lastLook, lastDeed;

    /// <param name="cluster">Name of the cluster: the store's key prefix.</param>
    /// <param name="self">This node.</param>
    /// <param name="ids">Seeded at random in production, chosen in the simulator.</param>
    /// <param name="doors">How a VIP is put into effect on this host.</param>
    public AgentLoop(string cluster, NodeName self, RequestIds ids, DoorPolicy doors) : this(cluster, self, ids, doors, LoopRules.All) { }

    internal AgentLoop(string cluster, NodeName self, RequestIds ids, DoorPolicy doors, LoopRules rules)
    {
        codec = new StateCodec(cluster);
        peers = new PeerTable(self, ids.NextNumber(), rules.TwoWayLiveness);
        known = new Knowledge(self, peers) { Rules = rules };
        awake = new AwakeClock(rules.AwakeClock);
        desk = new CommitDesk(known, ids);
        freshness = new CopyFreshness(known);
        claim = new ControllerClaim(known, desk);
        controller = new ControllerRole(known, desk, claim);
        guard = new GuardSide(known, ids, doors);
        replication = new ReplicationSide(known, guard, desk);
        instances = new InstanceSide(known, guard, replication);
        restarts = new RestartSide(known, desk);
        fencing = new FenceSide(known, desk);
        backups = new BackupSide(known, desk);
        routes = new RouteBuilder(known, doors);
        lags = new LagBook(known);
    }

    /// <summary>What this agent knows; for status and explanation, on the loop's thread only.</summary>
    public Knowledge Known => known;
    public Controller? Controller => claim.Heard;
    public GuardSide Guard => guard;
    public InstanceSide Instances => instances;
    public RouteTable Routes => routes.Current;
    public LagBook Lags => lags;
    /// <summary>The newest format of the committed state that is read; another than the program's in tests alone.</summary>
    internal int ReadsFormat { get; init; } = StateFormat.Current;
    /// <summary>What peers are told of this agent's version.</summary>
    public string Program { get; init; } = "";

    public IReadOnlyList<Effect> Step(AgentEvent happened, Instant now)
    {
        awake.Advance(now);
        known.Now = now;
        known.Awake = awake.Now;
        moved |= happened is not (Tick or BeatReceived or GuardReceived { Message: GuardBeat });
        Take(happened);
        // Everything else hangs on the tick, and on what a takeover waits for.
        if (happened is not (Tick or StoreRead or StoreChanged or GuardReceived or GuardBroken or InstanceChanged or ActionCompleted or CommitCompleted))
            return known.TakeEffects();
        moved |= JudgePeers();
        if (moved || guard.SilenceChanged || known.Awake - lastDeed < restAfter || known.Awake - lastLook >= lookAtRest) Look();
        else guard.BeatIfDue();
        BeatIfDue();
        return known.TakeEffects();
    }

    private void Look()
    {
        moved = false;
        lastLook = known.Awake;
        known.Own = OwnFacts();
        guard.Reconcile(codec.Keys, instances.IsQuiet);
        replication.OnTick(codec, instances.Instances);
        instances.Reconcile();
        restarts.OnTick(codec, instances.Instances);
        known.Own = OwnFacts();
        desk.OnTick();
        freshness.OnTick();
        lags.OnTick();
        controller.OnTick(codec);
        fencing.OnTick(codec, claim.Heard, claim.HearsMajority);
        backups.OnTick(codec);
        if (routes.Build() is { } table) known.Add(new PublishRoutes(table));
        if (known.HasDeeds || known.BeatSoon || !known.StoreReachable || claim.Heard is null) lastDeed = known.Awake;
    }

    private void Take(AgentEvent happened)
    {
        switch (happened)
        {
            case BeatReceived beat when beat.From == beat.Beat.Sender: OnBeat(beat.Beat); break;
            case StoreRead read: OnRead(read.Snapshot); break;
            case StoreChanged changed when !tooNew: SetState(codec.Apply(known.State, changed.Batch)); break;
            case StoreLost lost: OnLost(lost.Reason); break;
            case CommitCompleted completed: OnCommitted(completed); break;
            case GuardReceived received: guard.OnMessage(received.Message); break;
            case GuardBroken broken: guard.OnBroken(broken.Reason); break;
            case FloorsRead floors: guard.OnFloors(floors, codec); break;
            case InstanceChanged changed: instances.OnChanged(changed.Facts); break;
            case ActionCompleted completed: instances.OnCompleted(completed); break;
            case FenceCompleted completed: fencing.OnCompleted(completed); break;
            case BackupEnded ended: backups.OnEnded(ended); break;
            case BackupsDue due: known.DueBackups = due.Due; break;
            case DoorClosed closed: guard.OnDoorClosed(closed); break;
            case DoorQuiet quiet: guard.OnDoorQuiet(quiet); break;
            case ConcernsChanged changed: concerns = changed.Concerns; break;
            case RestartAnnounced:
                restarting = known.BeatSoon = true;
                break;
            case NodeConditionChanged changed:
                if (condition.PublicUp != changed.PublicUp || !condition.Shut.SequenceEqual(changed.Shut)) known.BeatSoon = true;
                condition = changed;
                guard.OnConditions(changed.ListenersReady);
                break;
        }
    }

    private void OnBeat(Beat beat)
    {
        var before = peers.Find(beat.Sender)?.Last;
        if (peers.Receive(beat, known.Awake, known.Timings)) moved |= before is null || !beat.SaysTheSameAs(before);
    }

    private void OnRead(StoreSnapshot snapshot)
    {
        if (!known.StoreReachable && known.HasState) known.Announce(AnnouncementKind.StoreBack, "the store answers again");
        known.StoreReachable = true;
        desk.OnRead();
        var state = codec.Read(snapshot);
        if (IsTooNew(state)) return;
        // A reading may come late, after a watch that went further; only a new incarnation takes the copy back.
        if (known.HasState && state.Revision < known.State.Revision && state.Incarnation <= known.State.Incarnation) return;
        known.HasState = true;
        SetState(state);
    }

    // What cannot be read rightly is not looked at: nothing is decided, started or stopped by it.
    private bool IsTooNew(ClusterState state)
    {
        if (state.Format <= ReadsFormat) return false;
        if (!tooNew) known.Add(new StateTooNew(state.Format));
        return tooNew = true;
    }

    private void SetState(ClusterState state)
    {
        if (IsTooNew(state)) return;
        var before = known.State;
        known.State = state;
        known.StoreReachable = true;
        foreach (var problem in codec.TakeProblems()) known.Announce(AnnouncementKind.Refused, $"unreadable record {problem}");
        foreach (var (node, record) in before.Nodes)
            if (record.Value.Mode != NodeMode.Active && known.ModeOf(node) == NodeMode.Active)
            {
                controller.OnResumed(node);
                if (node == known.Self) instances.OnResumed();
            }
        if (before.Incarnation != state.Incarnation && before.Revision > 0)
            known.Announce(AnnouncementKind.IncarnationChanged, $"incarnation {state.Incarnation}: the store was restored, owners are chosen anew");
        if (before.Spec?.Revision != state.Spec?.Revision && state.Spec is { } spec)
        {
            known.Announce(AnnouncementKind.SpecChanged, $"spec of revision {spec.Revision}");
            peers.Forget(spec.Value.Nodes.Keys.ToHashSet());
        }
        foreach (var (node, record) in state.Nodes)
            if (!before.Nodes.TryGetValue(node, out var old) || old.Value.Mode != record.Value.Mode)
                known.Announce(AnnouncementKind.NodeModeChanged, $"{node}: {record.Value.Mode} {record.Value.Reason}", node: node);
    }

    private void OnLost(string reason)
    {
        if (known.StoreReachable) known.Announce(AnnouncementKind.StoreLost, $"the store cannot be reached: {reason}");
        known.StoreReachable = false;
    }

    private void OnCommitted(CommitCompleted completed)
    {
        if (completed.Result.Outcome is CommitOutcome.Committed or CommitOutcome.Conflict) known.StoreReachable = true;
        var done = desk.OnCompleted(completed);
        if (done is SyncSetProposal proposal) replication.OnDecided(proposal, completed.Result);
        if (done is FenceProposal fence) fencing.OnDecided(fence, completed.Result);
        if (done is BackupProposal backup) backups.OnDecided(backup, completed.Result);
        if (completed.Result.Outcome != CommitOutcome.Committed) return;
        if (done is ClaimProposal claimed) known.Announce(AnnouncementKind.ControllerClaimed, $"this agent is the controller (epoch {claimed.Epoch})", node: known.Self);
        if (done is RestartProposal restarted) known.Announce(AnnouncementKind.Restarted, $"{restarted.Restart.Service} was restarted on {known.Self} as asked", node: known.Self, service: restarted.Restart.Service);
        if (done is DecisionProposal decisions)
            foreach (var announcement in decisions.WhenCommitted) known.Add(new Announce(announcement with { At = known.Now }));
    }

    private bool JudgePeers()
    {
        var changed = false;
        foreach (var peer in peers.Judge(known.Awake, known.Timings))
        {
            known.BeatSoon = true;
            known.Announce(peer.Alive ? AnnouncementKind.PeerBack : AnnouncementKind.PeerLost, peer.Alive ? $"{peer.Name} is here" : $"{peer.Name}: {peer.Why}", node: peer.Name);
            if (!peer.Alive) controller.OnPeerLost(peer);
            changed = true;
        }

        return changed;
    }

    private NodeFacts OwnFacts() => new()
    {
        Instances = instances.Facts,
        Held = [.. guard.Held],
        Ended = [.. guard.Ended],
        Guard = guard.Session,
        Ready = guard.Ready,
        PublicUp = condition.PublicUp,
        Shut = condition.Shut,
        StoreReachable = known.StoreReachable,
        LoadPerCore = condition.LoadPerCore,
        WallClock = condition.WallClock,
        Finishing = condition.Finishing,
        Restarting = restarting,
        Program = Program,
        StateFormat = ReadsFormat,
        Concerns = concerns,
    };

    private void BeatIfDue()
    {
        if (known.Spec is not { } spec) return;
        // What an agent says first replaces what its predecessor said last: it is to know what runs here before it speaks.
        if (!speaks && known.Awake < longestSilence && !(guard.Connected && instances.IsKnown(guard.Found))) return;
        speaks = true;
        var soon = known.BeatSoon && known.Awake - lastBeat >= known.Timings.Beat / 6;
        if (!soon && known.Awake < nextBeat) return;
        known.BeatSoon = false;
        lastBeat = known.Awake;
        nextBeat = known.Awake + known.Timings.Beat;
        var beat = new Beat
        {
            Sender = known.Self,
            Session = peers.Session,
            Sequence = peers.NextSequence(known.Awake),
            Revision = known.State.Revision,
            Incarnation = known.State.Incarnation,
            Controller = claim.Heard,
            Heard = peers.Echoes(known.Awake, known.Timings),
            Facts = known.Own,
        };
        foreach (var node in spec.Nodes.Keys)
            if (node != known.Self) known.Add(new SendBeat(node, beat));
    }
}

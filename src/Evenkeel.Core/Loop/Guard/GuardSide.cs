using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Core.Loop.Guard;

/// <summary>
/// The agent's side of its guard: gives it configuration and floors, asks for the leases of what is committed to this node
/// and session, gives back what is no longer. The guard alone decides when a door is open; here is only the asking.
/// </summary>
public sealed class GuardSide(Knowledge known, RequestIds ids, DoorPolicy doors)
{
    private static readonly TimeSpan floorsRetry = TimeSpan.FromMilliseconds(100);
    // A barrier whose answer got lost; hosts answer within the store's deadline, so this is a last resort.
    private static readonly TimeSpan floorsPatience = TimeSpan.FromSeconds(5);
    // A client's kernel asks again after a second (RFC 6298): by then the next owner must answer. Until then nobody gains by
    // an earlier end, and a slow request is answered.
    private static readonly TimeSpan quietPatience = TimeSpan.FromMilliseconds(700);
    private static readonly TimeSpan yieldPatience = TimeSpan.FromMilliseconds(850);

    private readonly SortedDictionary<ResourceId, LocalLease> leases = [];
    /// <summary>The highest epoch of this session that ended, a resource: never asked for again (safety rule 2).</summary>
    private readonly SortedDictionary<ResourceId, Epoch> ended = [];
    /// <summary>Given back, but the guard has not yet said that the door is closed and the voters are told.</summary>
    private readonly SortedDictionary<ResourceId, Epoch> releasing = [];
    private readonly Dictionary<ResourceId, TimeSpan> waitingSince = [];
    private GuardHello? hello;
    private Instant helloAt;
    private long configuredSpec = -1;
    private bool floorsGiven;
    private TimeSpan? floorsAskedAt;
    private TimeSpan floorsNotBefore;
    private bool listenersReady;
    private bool votingAnnounced;
    private TimeSpan lastLoopBeat = TimeSpan.MinValue;
    private long loopBeats;
    private TimeSpan lastWord;
    private bool silenceTold;

    public IReadOnlyDictionary<ResourceId, LocalLease> Leases => leases;
    /// <summary>A guard answers: what runs here is known, and can be started and stopped.</summary>
    public bool Connected => hello is not null;
    /// <summary>What ran here before this agent, by the guard's word.</summary>
    public IEnumerable<string> Found => hello?.Instances.Select(one => one.Instance) ?? [];
    public GuardSession Session => hello?.Session ?? default;
    /// <summary>Of the guard; 0 while none is connected.</summary>
    public int ProcessId => hello?.ProcessId ?? 0;
    public IReadOnlyList<string> Missing => hello?.Missing ?? [];

    /// <summary>The guard votes (floors given, L passed since it surely ran) and the doors could open.</summary>
    public bool Ready => hello is not null && !Silent && floorsGiven && listenersReady
        && (hello.Held.Count > 0 || known.Now.HasWaitedUntil(helloAt + known.Timings.Lease * (1 + 2 * known.Timings.DriftBound)));

    public IEnumerable<HeldLease> Held =>
        leases.Values.Where(lease => lease.Phase == LeasePhase.Held).Select(lease => new HeldLease(lease.Resource, lease.Epoch))
            .Concat(releasing.Select(pair => new HeldLease(pair.Key, pair.Value))).Where(_ => !Silent);

    // A guard that said nothing for so long has renewed nothing either: the kernel has closed its doors.
    private bool Silent => known.Rules.EndedIsTold && hello is not null && known.Awake - lastWord > known.Timings.Lease + 2 * known.Timings.Beat;

    /// <summary>Committed to this very session, but over here.</summary>
    public IEnumerable<HeldLease> Ended => Silent
        ? from lease in leases.Values where Committed(lease.Resource) == lease.Epoch select new HeldLease(lease.Resource, lease.Epoch)
        : OverForGood;

    private IEnumerable<HeldLease> OverForGood =>
        from pair in ended
        where known.Rules.EndedIsTold && Committed(pair.Key) is { } epoch && epoch <= pair.Value
        select new HeldLease(pair.Key, Committed(pair.Key)!.Value);

    /// <summary>The epoch under which this node may act on the resource now, as far as the agent knows; the guard knows better.</summary>
    public Epoch? HeldEpoch(ResourceId resource) =>
        leases.TryGetValue(resource, out var lease) && lease.Phase == LeasePhase.Held && !lease.Yielding ? lease.Epoch : null;

    /// <summary>The epoch under which this node still holds the resource, be it only to give it back in order.</summary>
    public Epoch? LeasedEpoch(ResourceId resource) => leases.TryGetValue(resource, out var lease) && lease.Phase == LeasePhase.Held ? lease.Epoch : null;

    public void OnConditions(bool ready) => listenersReady = ready;

    public void OnBroken(string reason)
    {
        if (hello is null) return;
        known.Announce(AnnouncementKind.GuardLost, $"the guard is gone: {reason}");
        hello = null;
        // Without a guard nothing ends an agent's listeners in time; they close now.
        foreach (var lease in leases.Values.ToList()) CloseListeners(lease, TimeSpan.Zero);
        leases.Clear();
        releasing.Clear();
        ended.Clear();
        known.BeatSoon = true;
    }

    public void OnMessage(GuardMessage message)
    {
        lastWord = known.Awake;
        switch (message)
        {
            case GuardHello greeting: OnHello(greeting); break;
            case LeaseChanged changed: OnLease(changed); break;
            case CloseListener close:
                known.Add(new CloseDoor(close.Resource, close.Epoch, close.Within));
                break;
            case GuardWarning warning: known.Announce(AnnouncementKind.GuardWarning, warning.Text); break;
        }
    }

    public void OnDoorClosed(DoorClosed closed)
    {
        if (hello is not null) known.Add(new ToGuard(new ListenerClosed(closed.Resource, closed.Epoch)));
    }

    public void OnDoorQuiet(DoorQuiet quiet)
    {
        if (leases.TryGetValue(quiet.Resource, out var lease) && lease.Epoch == quiet.Epoch) lease.Quiet = true;
    }

    public void OnFloors(FloorsRead floors, StateCodec codec)
    {
        if (floors.Session != Session) return;
        floorsAskedAt = null;
        floorsNotBefore = known.Awake + floorsRetry;
        // A reading older than the barrier may be a stale leader's: it does not count (safety rule 5).
        if (floors.Snapshot is null || floors.Snapshot.Revision < floors.BarrierRevision) return;
        var committed = codec.Read(floors.Snapshot);
        var epochs = committed.Ownerships.ToDictionary(pair => pair.Key.Value, pair => pair.Value.Value.LastEpoch);
        known.Add(new ToGuard(new CommittedFloors(epochs, committed.Incarnation)));
        floorsGiven = true;
    }

    /// <summary>Every step: says what the guard needs to hear. <paramref name="quiet"/>: nothing of the service acts on this node any more.</summary>
    public void Reconcile(StateKeys keys, Func<string, bool> quiet)
    {
        if (hello is null || !known.HasState) return;
        BeatIfDue();
        TellSilence();
        if (known.State.Spec is not { } spec) return;
        if (spec.Revision != configuredSpec)
        {
            known.Add(new ConfigureGuard(spec.Value));
            configuredSpec = spec.Revision;
        }
        foreach (var adopted in leases.Values.Where(lease => lease.Doors.Count == 0))
        {
            // From the hello: asking for it again tells the guard that an agent stands behind it once more.
            adopted.Doors = DoorsOf(adopted.Resource);
            if (Committed(adopted.Resource) != adopted.Epoch) continue;
            known.Add(new ToGuard(new Acquire(adopted.Resource, adopted.Epoch, adopted.Doors)));
            OpenListeners(adopted);
        }
        AskForFloors(keys);
        if (Ready && !votingAnnounced)
        {
            votingAnnounced = true;
            known.Announce(AnnouncementKind.VotingBegan, "the guard votes and the doors could open");
            known.BeatSoon = true;
        }
        GiveBack(quiet);
        AskForLeases(spec.Value);
    }

    private Epoch? Committed(ResourceId resource) =>
        known.State.Ownerships.TryGetValue(resource, out var record) && record.Value.Current is { } owner
        && owner.Node == known.Self && (owner.Session == Session || !known.Rules.OwnerNamesSession) ? owner.Epoch : null;

    private void OnHello(GuardHello greeting)
    {
        if (hello is not null && hello.Session != greeting.Session) OnBroken("another guard answered");
        hello = greeting;
        helloAt = known.Now;
        configuredSpec = -1;
        floorsGiven = votingAnnounced = false;
        floorsAskedAt = null;
        floorsNotBefore = TimeSpan.Zero;
        lastLoopBeat = TimeSpan.MinValue;
        leases.Clear();
        releasing.Clear();
        foreach (var held in greeting.Held)
            leases[held.Resource] = new LocalLease(held.Resource, held.Epoch, []) { Phase = LeasePhase.Held };
        known.Announce(AnnouncementKind.GuardConnected, $"guard session {greeting.Session}, {greeting.Held.Count} leases held from before");
        known.BeatSoon = true;
    }

    private void OnLease(LeaseChanged changed)
    {
        if (changed.Phase == LeasePhase.Ended)
        {
            if (!ended.TryGetValue(changed.Resource, out var last) || last < changed.Epoch) ended[changed.Resource] = changed.Epoch;
            if (releasing.TryGetValue(changed.Resource, out var given) && given <= changed.Epoch)
            {
                releasing.Remove(changed.Resource);
                known.BeatSoon = true;
            }
            if (changed.Resource.Kind == "vip") known.Add(new ReopenDoor(changed.Resource) { Lost = true });
        }
        if (!leases.TryGetValue(changed.Resource, out var lease) || lease.Epoch != changed.Epoch) return;
        if (lease.Phase == changed.Phase) return;
        lease.Phase = changed.Phase;
        known.BeatSoon = true;
        switch (changed.Phase)
        {
            case LeasePhase.Held:
                known.Announce(AnnouncementKind.Acquired, $"{lease.Resource} is held: {changed.Reason}", lease.Resource, known.Self, lease.Epoch);
                OpenListeners(lease);
                if (lease.Resource.Kind != "vip") break;
                known.Add(new ReopenDoor(lease.Resource));
                known.Announce(AnnouncementKind.Serving, $"{lease.Resource} serves", lease.Resource, known.Self, lease.Epoch);
                break;
            case LeasePhase.Ended:
                known.Announce(AnnouncementKind.LeaseEnded, $"{lease.Resource} ended: {changed.Reason}", lease.Resource, known.Self, lease.Epoch);
                CloseListeners(lease, TimeSpan.Zero);
                leases.Remove(lease.Resource);
                break;
        }
    }

    /// <summary>Tells the guard that this loop goes on, each beat.</summary>
    public void BeatIfDue()
    {
        if (hello is null || !known.HasState) return;
        if (lastLoopBeat != TimeSpan.MinValue && known.Awake - lastLoopBeat < known.Timings.Beat) return;
        lastLoopBeat = known.Awake;
        known.Add(new ToGuard(new LoopBeat(++loopBeats)));
    }

    /// <summary>The guard has fallen silent, or speaks again, since the last <see cref="Reconcile"/>.</summary>
    public bool SilenceChanged => known.HasState && hello is not null && Silent != silenceTold;

    private void TellSilence()
    {
        if (!SilenceChanged) return;
        silenceTold = Silent;
        known.BeatSoon = true;
        known.Announce(silenceTold ? AnnouncementKind.GuardLost : AnnouncementKind.GuardConnected, silenceTold ? "the guard is silent: its leases have run out" : "the guard speaks again");
    }

    private void AskForFloors(StateKeys keys)
    {
        if (floorsGiven || known.Awake < floorsNotBefore) return;
        if (floorsAskedAt is { } asked && known.Awake - asked < floorsPatience) return;
        floorsAskedAt = known.Awake;
        if (!known.Rules.FloorsBehindBarrier)
        {
            known.Add(new ToGuard(new CommittedFloors(known.State.Ownerships.ToDictionary(pair => pair.Key.Value, pair => pair.Value.Value.LastEpoch), known.State.Incarnation)));
            floorsGiven = true;
            return;
        }
        known.Add(new ReadFloors(Session, new Transaction(ids.Next(), [new Compare(keys.Barrier, 0)], [new Write(keys.Barrier, null)])));
    }

    private void GiveBack(Func<string, bool> quiet)
    {
        foreach (var lease in leases.Values.ToList())
        {
            // A copy older than the lease knows nothing of it; the lease itself is the proof that it was committed.
            var record = known.State.Ownerships.TryGetValue(lease.Resource, out var found) ? found.Value : null;
            var outdated = record is null || record.LastEpoch >= lease.Epoch;
            lease.Yielding = outdated && Committed(lease.Resource) != lease.Epoch;
            if (!lease.Yielding || (known.Rules.StopBeforeRelease && lease.Resource.IsRun && !quiet(lease.Resource.Instance))) continue;
            if (!QuietEnough(lease)) continue;
            CloseListeners(lease, TimeSpan.Zero);
            leases.Remove(lease.Resource);
            if (lease.Phase == LeasePhase.Held) releasing[lease.Resource] = lease.Epoch;
            ended[lease.Resource] = lease.Epoch;
            known.Add(new ToGuard(new Release(lease.Resource, lease.Epoch)));
            known.Announce(AnnouncementKind.Released, $"{lease.Resource} given back", lease.Resource, known.Self, lease.Epoch);
            known.BeatSoon = true;
        }
    }

    // An address that moves by plan takes nothing new first, and waits a moment for what is under way.
    private bool QuietEnough(LocalLease lease)
    {
        if (lease.Resource.Kind != "vip" || lease.Phase != LeasePhase.Held || Silent) return true;
        if (lease.QuietingSince is { } since) return lease.Quiet || known.Awake - since >= quietPatience;
        lease.QuietingSince = known.Awake;
        known.Add(new QuietDoor(lease.Resource, lease.Epoch, quietPatience));
        return false;
    }

    /// <summary>
    /// A living former owner still holds it and is giving it back in order. Asking now would make the voters refuse it their
    /// renewal and cut it short. Only manners, for a while: what is safe the voters alone decide.
    /// </summary>
    private bool IsBeingGivenBack(ResourceId resource, Epoch epoch)
    {
        if (resource.Kind != "vip" || !known.Peers.All.Any(peer => peer.Alive && peer.Name != known.Self
            && known.FactsOf(peer.Name) is { } facts && facts.Held.Any(held => held.Resource == resource && held.Epoch < epoch)))
        {
            waitingSince.Remove(resource);
            return false;
        }
        if (!waitingSince.TryGetValue(resource, out var since)) waitingSince[resource] = since = known.Awake;
        return known.Awake - since < yieldPatience;
    }

    private void AskForLeases(ClusterSpec spec)
    {
        foreach (var (resource, record) in known.State.Ownerships)
        {
            if (Committed(resource) is not { } epoch || leases.ContainsKey(resource)) continue;
            if (ended.TryGetValue(resource, out var last) && epoch <= last) continue;
            if (resource.Kind == "vip" && (!listenersReady || !spec.Vips.ContainsKey(resource.Name))) continue;
            if (IsBeingGivenBack(resource, epoch)) continue;
            var lease = new LocalLease(resource, epoch, DoorsOf(resource));
            leases[resource] = lease;
            known.Add(new ToGuard(new Acquire(resource, epoch, lease.Doors)));
        }
    }

    private IReadOnlyList<Enforcement> DoorsOf(ResourceId resource) => resource.Kind switch
    {
        "vip" when known.Spec is { } spec && spec.Vips.TryGetValue(resource.Name, out var vip) => [doors.For(vip, spec)],
        "service" or "volume" => [new CgroupEnforcement(resource.Instance)],
        _ => [],
    };

    private void OpenListeners(LocalLease lease)
    {
        if (lease.Listener is { } listener) known.Add(new OpenDoor(lease.Resource, lease.Epoch, listener));
    }

    private void CloseListeners(LocalLease lease, TimeSpan within)
    {
        if (lease.Listener is not null) known.Add(new CloseDoor(lease.Resource, lease.Epoch, within));
    }
}

using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using AgentCloseDoor = Evenkeel.Core.Loop.CloseDoor;
using AgentOpenDoor = Evenkeel.Core.Loop.OpenDoor;

namespace Evenkeel.Simulation.World;

/// <summary>Hosts one node's <see cref="AgentLoop"/>: the production loop over simulated drivers, transport and store.</summary>
internal sealed class SimAgent
{
    private const long TickEvery = 10_000_000;
    private readonly SimCluster cluster;
    private readonly SimNode node;
    private readonly SimDriver driver;
    private readonly Dictionary<ResourceId, Instant> listenerTimers = [];
    private readonly HashSet<HeldLease> listeners = [];
    private AgentLoop? loop;
    private long watchedTo;
    private bool watching;
    private bool tickWaits;
    private byte wire;
    private long ticks;

    public SimAgent(SimCluster cluster, SimNode node)
    {
        (this.cluster, this.node) = (cluster, node);
        Process = new SimProcess(cluster.Time, cluster.Chance);
        driver = new SimDriver(cluster, node, this);
        Unit = new SimUnit(cluster, node, this);
        Volume = new SimVolumeDriver(cluster, node, this);
        ReadsFormat = StateFormat.Current;
    }

    public SimProcess Process { get; }
    public SimUnit Unit { get; }
    public SimVolumeDriver Volume { get; }
    public int ProcessId { get; private set; }
    public AgentLoop? Loop => loop;
    /// <summary>Of the release that is started next.</summary>
    public int ReadsFormat { get; set; }
    public IReadOnlySet<HeldLease> Listeners => listeners;

    public void Start()
    {
        if (Process.Alive || !node.Powered) return;
        Process.Start();
        ProcessId = node.NewProcessId();
        cluster.Trace(node.Name, "agent starts");
        var doors = new DoorPolicy(cluster.ListenersOnly ? null : "pub0");
        loop = new AgentLoop(Plan.Cluster, node.Name, new RequestIds(new UInt128(cluster.Chance.Next(), cluster.Chance.Next())), doors, cluster.Bug.Loop) { ReadsFormat = ReadsFormat };
        // Now and then a release that speaks the version before.
        wire = !cluster.Calm && (cluster.Seed + (ulong)ProcessId) % 5 == 0 ? BeatCodec.Oldest : BeatCodec.Version;
        watching = tickWaits = false;
        node.Guard.Connect();
        driver.Recover();
        TellConditions();
        ReadStore();
        PlanTick(Process.Generation);
    }

    public void Crash(bool restart = true)
    {
        if (!Process.Alive) return;
        cluster.Trace(node.Name, "agent dies");
        Process.Die();
        loop = null;
        listeners.Clear();
        listenerTimers.Clear();
        node.Guard.AgentIsGone(ProcessId);
        cluster.Backups.AgentIsGone(node);
        if (restart) cluster.Time.After(cluster.Chance.Milliseconds(20, 1500), Start);
    }

    /// <summary>As an operator restarts it: it says so, hands over (or has not the time to), ends, and comes back, perhaps as another release.</summary>
    public void Restart()
    {
        if (!Process.Alive) return;
        cluster.Trace(node.Name, "agent is to restart");
        Post(new RestartAnnounced());
        var mine = Process.Generation;
        cluster.Time.After(cluster.Chance.Milliseconds(50, 1500), () => { if (mine == Process.Generation) Crash(); });
    }

    public void GuardIsGone() => Post(new GuardBroken("the pipe broke"));
    public void FromGuard(GuardMessage message)
    {
        Process.Post(() =>
        {
            driver.FromGuard(message);
            Step(new GuardReceived(message));
        });
    }

    public void TellConditions() => Post(new NodeConditionChanged(node.PublicUp, 0.5, true, cluster.Spec.Backups.Count > 0 ? cluster.Backups.WallClock : 0));
    public void Post(AgentEvent happened, long delay = 20_000) => Process.Post(() => Step(happened), delay);

    /// <summary>The kernel timer that ends an agent whose listeners outlive their lease, should both it and its guard be frozen.</summary>
    public void ArmListenerTimer(ListenerLease lease)
    {
        if (!Process.Alive) return;
        listenerTimers[lease.Resource] = lease.Until;
        var mine = Process.Generation;
        var local = lease.Until.BootNanoseconds - node.Clock.Now.BootNanoseconds;
        cluster.Time.After(node.Clock.RealFor(Math.Max(0, local)), () =>
        {
            if (mine != Process.Generation || !listenerTimers.TryGetValue(lease.Resource, out var until) || until != lease.Until) return;
            if (listeners.Any(open => open.Resource == lease.Resource)) Crash();
        });
    }

    /// <summary>New revisions: the watch delivers them, each after its lag, in order.</summary>
    public void StoreMoved()
    {
        if (!Process.Alive || !watching) return;
        if (!cluster.Store.ReachableFrom(node.Name))
        {
            LoseStore("unreachable");
            return;
        }
        foreach (var batch in cluster.Store.After(watchedTo).ToList())
        {
            watchedTo = batch.Revision;
            Post(new StoreChanged(batch), 300_000 + cluster.Chance.Milliseconds(0, cluster.Store.WatchLag));
        }
    }

    public void LoseStore(string reason)
    {
        if (!Process.Alive || !watching) return;
        watching = false;
        Post(new StoreLost(reason), cluster.Chance.Milliseconds(1, 50));
        Retry();
    }

    private void Retry()
    {
        var mine = Process.Generation;
        cluster.Time.After(cluster.Chance.Milliseconds(20, 100), () => { if (mine == Process.Generation) ReadStore(); });
    }

    private void ReadStore()
    {
        var generation = cluster.Store.Generation;
        var mine = Process.Generation;
        cluster.Store.Read(node.Name, snapshot =>
        {
            if (mine != Process.Generation) return;
            if (snapshot is null || generation != cluster.Store.Generation)
            {
                Retry();
                return;
            }
            watchedTo = snapshot.Revision;
            watching = true;
            Post(new StoreRead(snapshot));
        });
    }

    private void PlanTick(int mine) => cluster.Time.After(node.Clock.RealFor(TickEvery), () =>
    {
        if (mine != Process.Generation) return;
        // A loop that stands still does not queue up ticks.
        if (cluster.Spec.Backups.Count > 0 && ++ticks % 25 == 0)
        {
            TellConditions();
            Post(new BackupsDue(cluster.Backups.Due()));
        }
        if (!tickWaits)
        {
            tickWaits = true;
            Process.Post(() =>
            {
                tickWaits = false;
                Step(Tick.Instance);
            });
        }
        PlanTick(mine);
    });

    private void Step(AgentEvent happened)
    {
        if (loop is null) return;
        var mine = Process.Generation;
        foreach (var effect in loop.Step(happened, node.Clock.Now))
        {
            if (mine != Process.Generation) return;
            CarryOut(effect);
        }
    }

    private void CarryOut(Effect effect)
    {
        switch (effect)
        {
            case SendBeat send: Send(send); break;
            case Commit commit:
            {
                if (cluster.Bug.ActsBeforeCommit) ActBeforeCommit(commit.Transaction);
                var run = Process.Generation;
                cluster.Store.Commit(node.Name, commit.Transaction, result =>
                {
                    cluster.Invariants.Answered(node.Name, run, commit.Transaction.RequestId, result.Outcome);
                    Post(new CommitCompleted(commit.Transaction.RequestId, result));
                });
                break;
            }
            case ReadFloors floors: Floors(floors); break;
            case RereadStore: ReadStore(); break;
            case ConfigureGuard configure: ToGuard(SimCluster.ConfigurationOf(configure.Spec, node.Name)); break;
            case ToGuard tell: ToGuard(tell.Message); break;
            case AgentOpenDoor open:
                // Opened against a fresh clock, like every door.
                if (listenerTimers.TryGetValue(open.Resource, out var until) && !node.Clock.Now.IsPastDeadline(until) && listeners.Add(new(open.Resource, open.Epoch)))
                    cluster.DoorsMoved = true;
                break;
            case AgentCloseDoor close:
                listeners.Remove(new(close.Resource, close.Epoch));
                Post(new DoorClosed(close.Resource, close.Epoch));
                break;
            case QuietDoor quiet:
                // Requests under way end soon, late, or not in time at all.
                var running = Process.Generation;
                cluster.Time.After(cluster.Chance.Milliseconds(0, 900), () => { if (running == Process.Generation) Post(new DoorQuiet(quiet.Resource, quiet.Epoch)); });
                break;
            case StateTooNew: Crash(restart: false); break;
            case InstanceAction action: driver.Take(action); break;
            case FenceNode fence: cluster.FenceDevice.Fence(this, fence); break;
            case RunBackup run: cluster.Backups.Begin(node, run); break;
            case StopBackup stop: cluster.Backups.Stop(node, stop); break;
            case Announce announce: cluster.Announced(node.Name, announce.Announcement); break;
        }
    }

    private void Send(SendBeat send)
    {
        if (!cluster.Nodes.ContainsKey(send.To)) return;
        var bytes = BeatCodec.Encode(send.Beat, wire);
        cluster.Network.Send(node.Name, send.To, () =>
        {
            var beat = BeatCodec.Decode(bytes) ?? throw new InvalidOperationException("A beat was not understood.");
            cluster.Node(send.To).Agent.Post(new BeatReceived(node.Name, beat), 10_000);
        });
    }

    private void Floors(ReadFloors floors)
    {
        cluster.Store.Commit(node.Name, floors.Barrier, result =>
        {
            if (result.Outcome is not CommitOutcome.Committed) Post(new FloorsRead(floors.Session, 0, null, result.Reason));
            else cluster.Store.Read(node.Name, snapshot => Post(new FloorsRead(floors.Session, result.Revision, snapshot)));
        });
    }

    // The pipe breaks with either end, so that nothing of an old connection reaches a new guard.
    private void ToGuard(AgentMessage message) => node.Guard.FromAgent(message);

    private void ActBeforeCommit(Transaction transaction)
    {
        foreach (var write in transaction.Writes)
        {
            if (write.Value is not { } value || !write.Key.Contains("/owner/vip/", StringComparison.Ordinal)) continue;
            var record = System.Text.Json.JsonSerializer.Deserialize(value.Span, StateJson.Default.Ownership)!;
            if (record.Current is not { } owner || owner.Node != node.Name) continue;
            var vip = cluster.Spec.Vips[record.Resource.Name];
            ToGuard(new Acquire(record.Resource, owner.Epoch, [new DoorPolicy(cluster.ListenersOnly ? null : "pub0").For(vip, cluster.Spec)]));
        }
    }
}

using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Simulation.World;

namespace Evenkeel.Simulation.Faults;

/// <summary>What goes wrong, and for how long: drawn one after the other until the faults stop.</summary>
internal sealed class FaultPlan(SimCluster cluster)
{
    private int incarnation = 1;
    private int requests;
    private bool stopped;

    private Chance Chance => cluster.Chance;
    private List<NodeName> Names => [.. cluster.Nodes.Keys];

    public void Begin()
    {
        var pace = Chance.Pick([120.0, 400, 1200]);
        void Next() => cluster.Time.After(Chance.Around(pace), () =>
        {
            if (stopped) return;
            One();
            Next();
        });
        Next();
    }

    /// <summary>Everything heals and comes back; some runs keep one one-way cut.</summary>
    public void Stop()
    {
        stopped = true;
        cluster.Calm = true;
        cluster.Network.HealAll();
        cluster.Network.Loss = cluster.Network.Late = 0.002;
        cluster.Store.HealAll();
        cluster.Database.Lagging.Clear();
        cluster.Volume.Frozen.Clear();
        foreach (var node in cluster.Nodes.Values)
        {
            node.PowerOn();
            node.SetPublic(true);
            foreach (var process in new[] { node.Guard.Process, node.Agent.Process })
            {
                process.Starvation = 0;
                // A machine that sleeps wakes by itself; a pause that began before must not outlast that.
                while (process.Alive && process.Stops > (node.Asleep ? 1 : 0)) process.Continue();
            }
            SetMode(node.Name, null);
        }
        if (!Chance.Happens(0.3)) return;
        var (from, to) = Pair();
        cluster.Network.Cut(from, to);
        cluster.Trace(from, $"the cut to {to} stays");
    }

    private void One()
    {
        var node = cluster.Node(Chance.Pick(Names));
        if (cluster.HasVolume && Chance.Happens(0.2))
        {
            HitVolume(node);
            return;
        }
        switch (Chance.Below(29))
        {
            case 0: node.Agent.Crash(); break;
            case 1: node.Guard.Crash(); break;
            case 2: PowerLoss(node, 100, 3000); break;
            case 3: Pause(node, "agent", node.Agent.Process); break;
            case 4: Pause(node, "guard", node.Guard.Process); break;
            case 5: Pause(node, "agent and guard", node.Agent.Process, node.Guard.Process); break;
            case 6: Starve(node); break;
            case 7 or 8: CutOneWay(); break;
            case 9 or 10: CutOff(node); break;
            case 11: Partition(); break;
            case 12: Deafen(node); break;
            case 13: Noise(); break;
            case 14: StoreCut(node); break;
            case 15: For(100, 3000, "store down", () => cluster.Store.Outages++, () => cluster.Store.Outages = Math.Max(0, cluster.Store.Outages - 1)); break;
            case 16: For(200, 3000, "store doubtful", () => cluster.Store.Doubt = 0.5, () => cluster.Store.Doubt = 0); break;
            case 17: For(200, 3000, "watches lag", () => cluster.Store.WatchLag = 800, () => cluster.Store.WatchLag = 3); break;
            case 18: Restore(); break;
            case 19: Sleep(node); break;
            case 20: For(100, 3000, $"{node.Name} public down", () => node.SetPublic(false), () => node.SetPublic(true)); break;
            case 21: SetMode(node.Name, Chance.Pick([NodeMode.Draining, NodeMode.Maintenance, NodeMode.Active])); break;
            case 22: Move(); break;
            case 23 when Chance.Happens(0.2): foreach (var every in cluster.Nodes.Values) PowerLoss(every, 50, 1500); break;
            case 23: Move(); break;
            case 24: KillDatabase(node); break;
            case 25: For(100, 2000, $"{node.Name} database lags", () => cluster.Database.Lagging.Add(node.Name), () => cluster.Database.Lagging.Remove(node.Name)); break;
            case 27: AskFence(node); break;
            case 28: node.Agent.Restart(); break;
            case 26 when ActiveDatabase() is { } active: KillDatabase(active); break;
        }
    }

    private void HitVolume(SimNode node)
    {
        switch (Chance.Below(4))
        {
            case 0:
                cluster.Trace(node.Name, "fault: the volume's writer is killed");
                node.Kill(SimVolume.Id);
                break;
            case 1:
                cluster.Trace(node.Name, "fault: its leg's server is killed");
                node.Kill(SimVolume.LegProcess);
                break;
            case 2: For(100, 2500, $"{node.Name} leg frozen", () => cluster.Volume.Frozen.Add(node.Name), () => cluster.Volume.Frozen.Remove(node.Name)); break;
            // The node and its network at once: what the writer had sent is still under way.
            case 3 when cluster.Invariants.Actor(ResourceId.Volume(SimVolume.Name)) is { } writer: CutOff(cluster.Node(writer)); break;
        }
    }

    private SimNode? ActiveDatabase() => cluster.Nodes.Values.FirstOrDefault(node => node.Running.GetValueOrDefault(SimDatabase.Service) is { Promoted: not null });

    private void KillDatabase(SimNode node)
    {
        cluster.Trace(node.Name, "fault: its database is killed");
        node.Kill(SimDatabase.Service);
    }

    private void PowerLoss(SimNode node, double low, double high) => For(low, high, $"{node.Name} power lost", node.PowerOff, node.PowerOn);

    private void Pause(SimNode node, string what, params SimProcess[] processes)
    {
        var generations = processes.Select(process => process.Generation).ToArray();
        For(20, 1500, $"{node.Name} {what} paused",
            () => { foreach (var process in processes) process.Stop(); },
            () =>
            {
                for (var i = 0; i < processes.Length; i++)
                    if (processes[i].Generation == generations[i]) processes[i].Continue();
            });
    }

    private void Starve(SimNode node)
    {
        var delay = Chance.Pick([2.0, 10, 40]);
        For(200, 2000, $"{node.Name} starved {delay} ms", () => Set(delay), () => Set(0));
        void Set(double value) => node.Agent.Process.Starvation = node.Guard.Process.Starvation = value;
    }

    private void CutOneWay()
    {
        var (from, to) = Pair();
        For(20, 2500, $"cut {from} -> {to}", () => cluster.Network.Cut(from, to), () => cluster.Network.Heal(from, to));
    }

    private void CutOff(SimNode node)
    {
        var store = Chance.Happens(0.7);
        For(50, 2500, $"{node.Name} cut off", () => Change(cluster.Network.Cut, cluster.Store.CutFrom), () => Change(cluster.Network.Heal, cluster.Store.HealFrom));
        void Change(Action<NodeName, NodeName> link, Action<NodeName> coordination)
        {
            foreach (var other in Names.Where(other => other != node.Name))
            {
                link(node.Name, other);
                link(other, node.Name);
            }
            if (store) coordination(node.Name);
        }
    }

    private void Partition()
    {
        var side = Names.Where(_ => Chance.Happens(0.5)).ToHashSet();
        For(50, 2500, $"partition {string.Join(",", side)}", () => Change(cluster.Network.Cut, cluster.Store.CutFrom), () => Change(cluster.Network.Heal, cluster.Store.HealFrom));
        void Change(Action<NodeName, NodeName> link, Action<NodeName> coordination)
        {
            foreach (var a in Names)
                foreach (var b in Names.Where(b => side.Contains(a) != side.Contains(b))) link(a, b);
            var minority = side.Count * 2 < Names.Count;
            foreach (var node in Names.Where(node => side.Contains(node) == minority)) coordination(node);
        }
    }

    private void Deafen(SimNode node)
    {
        var deaf = Chance.Happens(0.5);
        For(100, 2500, $"{node.Name} {(deaf ? "deaf" : "mute")}", () => Change(cluster.Network.Cut), () => Change(cluster.Network.Heal));
        void Change(Action<NodeName, NodeName> link)
        {
            foreach (var other in Names.Where(other => other != node.Name))
                if (deaf) link(other, node.Name);
                else link(node.Name, other);
        }
    }

    private void Noise() => For(100, 2000, "noise",
        () => (cluster.Network.Loss, cluster.Network.Late) = (Chance.Between(0.01, 0.4), Chance.Between(0.01, 0.5)),
        () => (cluster.Network.Loss, cluster.Network.Late) = (0.002, 0.002));

    private void StoreCut(SimNode node) => For(100, 2500, $"{node.Name} without store",
        () =>
        {
            cluster.Store.CutFrom(node.Name);
            node.Agent.LoseStore("unreachable");
        },
        () => cluster.Store.HealFrom(node.Name));

    private void Sleep(SimNode node)
    {
        var length = Chance.Milliseconds(50, 1500);
        cluster.Trace(node.Name, "sleeps");
        node.Sleep();
        cluster.Time.After(length, () => node.Wake(length));
    }

    private void Restore()
    {
        if (Chance.Happens(0.5)) return;
        cluster.Trace(null, "the store is restored from an old snapshot");
        cluster.Store.Restore();
        if (!cluster.Bug.RestoresWithoutIncarnation)
            cluster.Store.Apply(new Transaction(NextRequest(), [], [cluster.Codec.PutIncarnation(++incarnation)]));
        foreach (var node in cluster.Nodes.Values) node.Agent.LoseStore("restored");
    }

    private void SetMode(NodeName node, NodeMode? mode)
    {
        var state = State();
        var revision = state.Nodes.TryGetValue(node, out var record) ? record.Revision : 0;
        if (mode is null && revision == 0) return;
        var write = mode is { } chosen ? cluster.Codec.Put(new NodeRecord(node, chosen)) : new Write(cluster.Codec.Keys.Node(node), null);
        cluster.Trace(node, $"operator: {mode?.ToString() ?? "resume"}");
        cluster.Store.Apply(new Transaction(NextRequest(), [new Compare(cluster.Codec.Keys.Node(node), revision)], [write]));
    }

    private void Move()
    {
        var resource = Chance.Pick(cluster.Invariants.Resources);
        var to = Chance.Pick(Names);
        var revision = State().Moves.TryGetValue(resource, out var record) ? record.Revision : 0;
        cluster.Trace(to, $"operator: move {resource} here");
        cluster.Store.Apply(new Transaction(NextRequest(), [new Compare(cluster.Codec.Keys.Move(resource), revision)], [cluster.Codec.Put(new MoveRequest(resource, to))]));
    }

    private void AskFence(SimNode node)
    {
        var state = State();
        if (Chance.Happens(0.7) || state.Fences.ContainsKey(node.Name)) return;
        cluster.Trace(node.Name, "operator: fence");
        var record = new FenceRecord(node.Name, state.Revision, state.Incarnation, FencePhase.Asked) { ByOperator = true, Reason = "an operator" };
        cluster.Store.Apply(new Transaction(NextRequest(), [new Compare(cluster.Codec.Keys.Fence(node.Name), 0)], [cluster.Codec.Put(record)]));
    }

    private ClusterState State() => new StateCodec(Plan.Cluster).Read(cluster.Store.Snapshot());
    private Guid NextRequest() => new(2, 0, 0, BitConverter.GetBytes((long)++requests));

    private (NodeName From, NodeName To) Pair()
    {
        var from = Chance.Pick(Names);
        return (from, Chance.Pick([.. Names.Where(name => name != from)]));
    }

    private void For(double low, double high, string what, Action begin, Action end)
    {
        var length = Chance.Milliseconds(low, high);
        cluster.Trace(null, $"fault: {what} for {length / 1e6:0} ms");
        begin();
        cluster.Time.After(length, () => { if (!stopped) end(); });
    }
}

using System.Globalization;
using System.Text;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Simulation.World;

/// <summary>Everything of one run: nodes, network, store, time, chance, and what outsiders see of it.</summary>
internal sealed class SimCluster
{
    private readonly StringBuilder? trace;
    private ulong hash = 14695981039346656037;

    public SimCluster(ulong seed, Bug bug, bool traced, ClusterSpec? spec = null, bool volumes = false)
    {
        (Bug, Chance) = (bug, new Chance(seed));
        Seed = seed;
        trace = traced ? new StringBuilder() : null;
        Network = new SimNetwork(Time, Chance);
        Store = new SimStore(Time, Chance);
        Spec = spec ?? Plan.Draw(Chance);
        if (bug.Quorum) Spec = Plan.ByQuorum(Spec, copies: 1 + (int)(seed % 2));
        if (volumes) Spec = Plan.WithVolume(Spec, Chance);
        else if (spec is null) Spec = SimBackups.Draw(Spec, seed, bug);
        Backups = new SimBackups(this);
        ListenersOnly = spec is null && Chance.Happens(0.3);
        foreach (var name in Spec.Nodes.Keys.Order())
        {
            // Two nodes' rates differ by no more than the bound.
            var drift = Spec.Timings.DriftBound * 0.49;
            var rate = Chance.Happens(0.5) ? Chance.Pick([-drift, drift]) : Chance.Between(-drift, drift);
            Nodes[name] = new SimNode(this, name, new NodeClock(Time, 1 + rate, Chance.Milliseconds(1_000, 1_000_000)));
        }
        Invariants = new Invariants(this);
        Database = new SimDatabase(this);
        Volume = new SimVolume(this);
        FenceDevice = new SimFenceDevice(this);
        Store.Changed = () =>
        {
            foreach (var node in Nodes.Values) node.Agent.StoreMoved();
        };
    }

    public Bug Bug { get; }
    public Chance Chance { get; }
    public VirtualTime Time { get; } = new();
    public SimNetwork Network { get; }
    public SimStore Store { get; }
    public ClusterSpec Spec { get; }
    public bool ListenersOnly { get; }
    public SortedDictionary<NodeName, SimNode> Nodes { get; } = [];
    public Invariants Invariants { get; }
    public SimDatabase Database { get; }
    public SimVolume Volume { get; private set; }
    public bool HasVolume => Spec.Volumes.Count > 0;
    public SimFenceDevice FenceDevice { get; }
    public SimBackups Backups { get; }
    /// <summary>Faults are over: devices and stops work too.</summary>
    public bool Calm { get; set; }
    public StateCodec Codec { get; } = new(Plan.Cluster);
    public bool DoorsMoved { get; set; }
    public ulong Seed { get; }
    public string TraceText => trace?.ToString() ?? "";
    /// <summary>Of everything that happened: two runs of one seed have the same.</summary>
    public ulong Hash => hash;

    public SimNode Node(NodeName name) => Nodes[name];

    public void Begin()
    {
        Store.Apply(new Evenkeel.Core.Loop.Ports.Transaction(new Guid(1, 0, 0, new byte[8]), [], [Codec.Put(Spec), Codec.PutIncarnation(1)]));
        foreach (var node in Nodes.Values) Time.After(Chance.Milliseconds(0, 300), node.PowerOn);
        if (Spec.Services.ContainsKey(SimDatabase.Service)) Database.Begin();
        if (HasVolume) Volume.Begin();
    }

    /// <summary>False when an invariant broke.</summary>
    public bool Run(long nanoseconds)
    {
        var end = Time.Now + nanoseconds;
        while (Time.Now < end && Invariants.Violation is null) Time.RunUntil(Math.Min(end, Time.Now + 50_000_000), Invariants.Check);
        return Invariants.Violation is null;
    }

    public static Configure ConfigurationOf(ClusterSpec spec, NodeName self) => new(
        spec.Cluster, self,
        [.. spec.Nodes.Values.OrderBy(node => node.Name).Select(node => new GuardPeer(node.Name, [node.Private[0].ToString()], 4700, node.Votes))],
        spec.Timings, new Dictionary<int, byte[]>());

    /// <summary>Leases that ended or were given back anywhere.</summary>
    public int LeasesLost { get; private set; }

    public void Announced(NodeName by, Announcement what)
    {
        if (what.Kind is AnnouncementKind.LeaseEnded or AnnouncementKind.Released) LeasesLost++;
        Heard?.Invoke(by, what);
        Trace(by, $"{what.Kind} {what.Words}");
    }

    /// <summary>For who tells a story of it.</summary>
    public Action<NodeName, Announcement>? Heard { get; set; }

    public void Trace(NodeName? node, string words)
    {
        Fold((ulong)Time.Now);
        foreach (var letter in words) Fold(letter);
        trace?.Append(CultureInfo.InvariantCulture, $"{Time.Now / 1e6,10:0.000} {node?.Value ?? "-",-3} {words}\n");
    }

    private void Fold(ulong value) => hash = (hash ^ value) * 1099511628211;
}

using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>A database's data on one node's disk: its name and the numbers of the writes in it, in order.</summary>
internal sealed class SimData
{
    public string? Name { get; set; }
    public int Timeline { get; set; }
    /// <summary>Under which it was last active here.</summary>
    public Epoch Epoch { get; set; }
    public List<long> Log { get; set; } = [];
}

/// <summary>
/// Databases as the outside sees them: clients that try to write everywhere, standbys that copy from whom they follow, and
/// the account of what was acknowledged. A write is acknowledged when the active process has it and everybody that its
/// commits wait for. Nothing acknowledged may be missing where a copy becomes the active one (safety rule 8).
/// </summary>
internal sealed class SimDatabase(SimCluster cluster)
{
    public const string Service = "db";
    private const long Pause = 15_000_000;

    private readonly List<(NodeName Node, int Process, long Number)> waiting = [];
    private readonly List<long> acknowledged = [];
    private long lastNumber;
    private int lastName;

    public int Acknowledged => acknowledged.Count;
    /// <summary>Standbys that are connected and get nothing for a while: a slow disk, a full link.</summary>
    public HashSet<NodeName> Lagging { get; } = [];

    /// <summary>
    /// A cut lasts, and hides from the controller the only copies that may act: those with every write, or, after the store was
    /// restored, any that it must look at first. It must not guess.
    /// </summary>
    public bool MustWait => MustWaitFor(Service);

    /// <inheritdoc cref="MustWait"/>
    public bool MustWaitFor(string replicated)
    {
        var state = new Core.Loop.Store.StateCodec(Plan.Cluster).Read(cluster.Store.Snapshot());
        if (!cluster.Network.AnyCut || state.Controller is not { } controller) return false;
        if (!state.SyncSets.TryGetValue(replicated, out var set) || set.Value.Epoch.Incarnation < state.Incarnation) return true;
        bool Reached(NodeName member) => member == controller.Value.Node || Connected(member, controller.Value.Node);
        return !Reached(set.Value.Members[0]) && set.Value.Standbys.Count(Reached) < (set.Value.IsQuorum ? set.Value.Ask : 1);
    }

    public void Begin() => cluster.Time.After(Pause, () =>
    {
        foreach (var node in cluster.Nodes.Values)
        {
            Follow(node);
            Write(node);
        }
        Acknowledge();
        Begin();
    });

    public string NewName() => $"data-{++lastName}";

    /// <summary>The two reach each other now, both ways.</summary>
    public bool Connected(NodeName one, NodeName other) =>
        cluster.Network.Reaches(one, other) && cluster.Network.Reaches(other, one) && !cluster.Node(one).Asleep && !cluster.Node(other).Asleep;

    public bool Follows(SimNode node, NodeName upstream) =>
        node.Powered && node.Running.TryGetValue(Service, out var standby) && standby.Promoted is null && standby.Upstream == upstream && Connected(node.Name, upstream);

    /// <summary>Called when a copy becomes the active one.</summary>
    public void Promoted(SimNode node)
    {
        var has = node.Data.Log.ToHashSet();
        if (acknowledged.FirstOrDefault(number => !has.Contains(number)) is var lost && lost != 0)
            cluster.Invariants.Break($"the acknowledged write {lost} is lost: {node.Name} became active without it");
    }

    // Streams; what it has and its upstream has not, is rewound.
    private void Follow(SimNode node)
    {
        if (!node.Running.TryGetValue(Service, out var standby) || standby.Promoted is not null || standby.Upstream is not { } name || !Follows(node, name)) return;
        var upstream = cluster.Node(name);
        if (!upstream.Powered || !upstream.Running.TryGetValue(Service, out var active) || active.Promoted is null) return;
        // Not all of it at once: a standby may be behind for a while.
        if (Lagging.Contains(node.Name) || cluster.Chance.Happens(0.3)) return;
        (node.Data.Name, node.Data.Timeline, node.Data.Epoch, node.Data.Log) = (upstream.Data.Name, upstream.Data.Timeline, default, [.. upstream.Data.Log]);
    }

    private void Write(SimNode node)
    {
        if (!node.Powered || node.Asleep || !node.Running.TryGetValue(Service, out var active) || active.Promoted is null) return;
        node.Data.Log.Add(++lastNumber);
        waiting.Add((node.Name, active.ProcessId, lastNumber));
    }

    private void Acknowledge()
    {
        for (var i = waiting.Count - 1; i >= 0; i--)
        {
            var (name, process, number) = waiting[i];
            var node = cluster.Node(name);
            if (!node.Powered || !node.Running.TryGetValue(Service, out var active) || active.ProcessId != process || active.Promoted is null)
            {
                waiting.RemoveAt(i); // its client will never know
                continue;
            }
            if (node.Asleep || active.Required.Count(other => Follows(cluster.Node(other), name) && cluster.Node(other).Data.Log.Contains(number)) < active.Waits) continue;
            waiting.RemoveAt(i);
            acknowledged.Add(number);
        }
    }
}

using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// A volume as the outside sees it: legs on disks, writers that try to write, and the account of what was acknowledged. Nothing
/// acknowledged may be missing where a writer begins, and no older writer may undo it on a leg that has it.
/// </summary>
internal sealed class SimVolume(SimCluster cluster)
{
    public const string Name = "shared";
    public const string Id = "volume/" + Name;
    /// <summary>The server of a node's leg: needs no lease, and ends with its guard.</summary>
    public const string LegProcess = Id + "/leg";
    /// <summary>The service that works on it.</summary>
    public const string User = "files";
    private const long Pause = 15_000_000;

    private readonly SimBlock[] acknowledged = new SimBlock[SimLeg.Count];
    private long lastNumber, lastConnection;
    private int lastName;

    public IReadOnlyList<NodeName> Legs { get; } = [.. cluster.Spec.Volumes.TryGetValue(Name, out var spec) ? spec.Legs.Select(leg => leg.Node) : []];
    public int Count { get; private set; }
    /// <summary>Nodes whose leg's server stands still: it is there, and answers nothing.</summary>
    public HashSet<NodeName> Frozen { get; } = [];

    public void Begin() => cluster.Time.After(Pause, () =>
    {
        foreach (var node in cluster.Nodes.Values) node.Agent.Volume.Writer?.Turn();
        Begin();
    });

    public string NewName() => $"volume-{++lastName}";
    public long NextNumber() => ++lastNumber;
    public long NextConnection() => ++lastConnection;

    public bool Serves(NodeName leg) => cluster.Node(leg) is { Powered: true, Asleep: false } node && node.Running.ContainsKey(LegProcess) && !Frozen.Contains(leg);

    public bool Connected(NodeName one, NodeName other) => one == other || (cluster.Network.Reaches(one, other) && cluster.Network.Reaches(other, one));

    /// <summary>A request reaches a leg; false when nobody carries it out.</summary>
    public bool Apply(NodeName leg, Epoch under, long connection, int block, SimBlock value)
    {
        if (!Serves(leg) || !cluster.Node(leg).Leg.Gate.MayWrite(under, connection)) return false;
        var (blocks, by) = (cluster.Node(leg).Leg.Blocks, cluster.Node(leg).Leg.By);
        // Over one connection the later write comes later, however often it was sent. Over two of the same writer it may not.
        if (by[block] == connection && blocks[block].Number >= value.Number) return true;
        if (blocks[block].CompareTo(acknowledged[block]) >= 0 && value.CompareTo(acknowledged[block]) < 0)
            cluster.Invariants.Break($"the acknowledged write {acknowledged[block]} on {leg} was undone by the older {value}");
        (blocks[block], by[block]) = (value, connection);
        return true;
    }

    public void BecameWriter(SimNode node, Epoch epoch)
    {
        cluster.DoorsMoved = true;
        cluster.Trace(node.Name, $"{Id} is written under {epoch}");
        for (var block = 0; block < SimLeg.Count; block++)
            if (node.Leg.Blocks[block].CompareTo(acknowledged[block]) < 0)
                cluster.Invariants.Break($"the acknowledged write {acknowledged[block]} is lost: {node.Name} writes {Id} without it");
    }

    public void Acknowledged(int block, SimBlock value)
    {
        Count++;
        if (value.CompareTo(acknowledged[block]) > 0) acknowledged[block] = value;
    }
}

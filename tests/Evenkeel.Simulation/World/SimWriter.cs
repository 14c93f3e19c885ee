using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// A volume's writer: a process of its own on its node. It waits until every leg that it was told to wait for is there, then
/// writes to all of them; a write is acknowledged when all that are required now have it. A leg whose connection broke is not
/// used again before it has been put out and taken in anew (what it had not flushed may be gone).
/// </summary>
internal sealed class SimWriter(SimCluster cluster, SimVolume volume, SimNode node, int process, Epoch epoch)
{
    private sealed record Write(int Block, SimBlock Value, HashSet<NodeName> On);

    private readonly SortedSet<NodeName> attached = [];
    private readonly Dictionary<NodeName, long> connections = [];
    private readonly SortedSet<NodeName> copied = [];
    private readonly SortedSet<NodeName> broken = [];
    private readonly List<Write> waiting = [];

    public Epoch Epoch => epoch;
    public int Process => process;
    /// <summary>Its file system is there: its service may use it.</summary>
    public bool Mounted { get; private set; }
    public IReadOnlyList<NodeName> Required { get; private set; } = [];
    /// <summary>Whoever waits for a write waits until a leg has been put out.</summary>
    public bool Frozen => Mounted && Required.Any(broken.Contains);

    public bool Runs => node.Powered && !node.Asleep && node.Running.TryGetValue(SimVolume.Id, out var running) && running.ProcessId == process;
    public IEnumerable<NodeName> Followers => volume.Legs.Where(leg => leg != node.Name && !broken.Contains(leg) && volume.Serves(leg) && volume.Connected(node.Name, leg));
    public IEnumerable<NodeName> Synchronous => Required.Where(leg => Mounted && copied.Contains(leg) && attached.Contains(leg));

    public void Require(IReadOnlyList<NodeName> legs)
    {
        Required = legs;
        attached.RemoveWhere(leg => leg != node.Name && !legs.Contains(leg));
        copied.RemoveWhere(leg => leg != node.Name && !legs.Contains(leg));
        broken.RemoveWhere(leg => !legs.Contains(leg));
        if (!Mounted) return;
        // Who belongs changed: those that have everything learn of it, who was put out does not.
        var events = node.Leg.Events + 1;
        foreach (var leg in copied.Append(node.Name)) cluster.Node(leg).Leg.Events = events;
    }

    public void Turn()
    {
        if (!Runs) return;
        foreach (var leg in attached.Where(leg => leg != node.Name && !(volume.Serves(leg) && volume.Connected(node.Name, leg))).ToList())
        {
            attached.Remove(leg);
            copied.Remove(leg);
            if (Required.Contains(leg)) broken.Add(leg);
        }
        foreach (var leg in Required.Append(node.Name).Where(leg => !attached.Contains(leg) && !broken.Contains(leg)).ToList()) Attach(leg);
        if (!Mounted)
        {
            // Assembled of exactly those that are required now; what they differ in was never acknowledged.
            if (!attached.Contains(node.Name) || !Required.All(attached.Contains)) return;
            foreach (var leg in Required) Copy(leg);
            copied.UnionWith(Required);
            Mounted = true;
            volume.BecameWriter(node, epoch);
            return;
        }
        foreach (var leg in attached.Where(leg => leg != node.Name && !copied.Contains(leg)).ToList())
        {
            if (cluster.Chance.Happens(0.8)) continue; // a resync takes a while
            Copy(leg);
            copied.Add(leg);
        }
        Issue();
        Acknowledge();
    }

    private void Attach(NodeName leg)
    {
        if (leg != node.Name && !(volume.Serves(leg) && volume.Connected(node.Name, leg))) return;
        var disk = cluster.Node(leg).Leg;
        if (leg == node.Name && !volume.Serves(leg)) return;
        var connection = volume.NextConnection();
        if (disk.Gate.Admit(epoch, connection, out _) is not null) return;
        connections[leg] = connection;
        disk.Name ??= cluster.Node(node.Name).Leg.Name;
        attached.Add(leg);
    }

    private void Copy(NodeName leg)
    {
        var (own, theirs) = (node.Leg, cluster.Node(leg).Leg);
        if (!theirs.Gate.MayWrite(epoch, connections[leg])) return;
        own.Blocks.CopyTo(theirs.Blocks, 0);
        Array.Fill(theirs.By, connections[leg]);
        theirs.Events = own.Events;
    }

    private void Issue()
    {
        if (waiting.Count > 4) return;
        var write = new Write(cluster.Chance.Below(SimLeg.Count), new SimBlock(epoch, volume.NextNumber()), []);
        waiting.Add(write);
        foreach (var leg in attached) Send(leg, write);
    }

    private void Send(NodeName to, Write write)
    {
        var connection = connections[to];
        if (to == node.Name)
        {
            if (volume.Apply(to, epoch, connection, write.Block, write.Value)) write.On.Add(to);
            return;
        }
        // A segment may wait for its retransmission, long after its sender is somebody else's predecessor.
        var late = cluster.Chance.Happens(0.01) ? cluster.Chance.Milliseconds(200, 2500) : 0;
        cluster.Network.Send(node.Name, to, () => cluster.Time.After(late, () =>
        {
            if (volume.Apply(to, epoch, connection, write.Block, write.Value)) cluster.Network.Send(to, node.Name, () => write.On.Add(to));
        }));
    }

    private void Acknowledge()
    {
        for (var i = waiting.Count - 1; i >= 0; i--)
        {
            var write = waiting[i];
            foreach (var leg in attached.Where(leg => !write.On.Contains(leg))) Send(leg, write);
            if (!write.On.Contains(node.Name) || !Required.All(write.On.Contains)) continue;
            waiting.RemoveAt(i);
            volume.Acknowledged(write.Block, write.Value);
        }
    }
}

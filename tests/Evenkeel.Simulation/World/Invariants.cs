using System.Text.Json;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// What must hold at every step, seen from outside: at most one node acts on a resource, and only under an ownership that
/// was committed to it and its guard's session; epochs only grow, across restores too; only the controller decides; nobody
/// writes over what it has not seen, nor decides anew while an outcome is unknown.
/// </summary>
internal sealed class Invariants
{
    private readonly SimCluster cluster;
    private readonly List<ResourceId> resources;
    private readonly HashSet<(ResourceId, Owner)> committed = [];
    private readonly Dictionary<ResourceId, Epoch> highest = [];
    private readonly Dictionary<NodeName, (int Run, Guid Request)> unknown = [];

    public Invariants(SimCluster cluster)
    {
        this.cluster = cluster;
        resources = [.. cluster.Spec.Vips.Keys.Order(StringComparer.Ordinal).Select(ResourceId.Vip),
            .. cluster.Spec.Services.Values.Where(service => service.Activity == Activity.SingleActive).Select(service => ResourceId.Service(service.Name)).Order(),
            .. cluster.Spec.Volumes.Keys.Select(ResourceId.Volume)];
        cluster.Store.Asked = Asked;
        cluster.Store.Applied = Applied;
    }

    public string? Violation { get; private set; }
    public IReadOnlyList<ResourceId> Resources => resources;
    public int OwnerChanges { get; private set; }
    public int Claims { get; private set; }

    public void Check()
    {
        if (!cluster.DoorsMoved || Violation is not null) return;
        cluster.DoorsMoved = false;
        foreach (var resource in resources)
        {
            SimNode? actor = null;
            foreach (var node in cluster.Nodes.Values)
            {
                Epoch? acts = null;
                foreach (var epoch in node.ActsOn(resource))
                {
                    // A unit outlives the guard under whose lease it was started.
                    var session = resource == ResourceId.Service(SimUnit.Service) ? node.Unit.Runs!.Session : node.Guard.Session;
                    if (!committed.Contains((resource, new Owner(node.Name, session, epoch))))
                        Break($"{node.Name} acts on {resource} under {epoch}, which was never committed to it and its guard's session");
                    acts = epoch;
                }
                if (acts is null) continue;
                if (actor is not null) Break($"two owners of {resource}: {actor.Name} under {actor.ActsOn(resource).First()} and {node.Name} under {acts}");
                actor = node;
            }
        }
    }

    /// <summary>The node that acts on the resource now; null when nobody does.</summary>
    public NodeName? Actor(ResourceId resource) =>
        cluster.Nodes.Values.Where(node => node.ActsOn(resource).Any()).Select(node => (NodeName?)node.Name).FirstOrDefault();

    public void Answered(NodeName by, int run, Guid request, CommitOutcome outcome)
    {
        if (outcome == CommitOutcome.Indeterminate) unknown[by] = (run, request);
        else if (outcome is CommitOutcome.Committed or CommitOutcome.Conflict && unknown.TryGetValue(by, out var open) && open.Request == request) unknown.Remove(by);
    }

    public void Break(string violation)
    {
        if (Violation is not null) return;
        Violation = violation;
        cluster.Trace(null, "VIOLATION " + violation);
    }

    private void Asked(NodeName by, Transaction transaction)
    {
        if (transaction.Writes.All(write => write.Key == cluster.Codec.Keys.Barrier)) return;
        if (unknown.TryGetValue(by, out var open) && open.Run == cluster.Node(by).Agent.Process.Generation && open.Request != transaction.RequestId)
            Break($"{by} decides anew while the outcome of {open.Request} is unknown");
    }

    private void Applied(NodeName? by, Transaction transaction, long revision)
    {
        foreach (var write in transaction.Writes)
        {
            if (by is not null && transaction.Compares.All(compare => compare.Key != write.Key)) Break($"{by} wrote {write.Key} unseen");
            if (write.Key == cluster.Codec.Keys.Controller) Claims++;
            if (!write.Key.StartsWith(cluster.Codec.Keys.OwnerPrefix, StringComparison.Ordinal) || write.Value is not { } value) continue;
            var record = JsonSerializer.Deserialize(value.Span, StateJson.Default.Ownership)!;
            if (by is not null && cluster.Store.Controller() is { } controller && controller != by)
                Break($"{by} decided on {record.Resource}, though {controller} is the controller");
            if (record.Current is not { } owner) continue;
            OwnerChanges++;
            if (highest.TryGetValue(record.Resource, out var last) && owner.Epoch <= last)
                Break($"{record.Resource} was granted under {owner.Epoch} after {last}");
            highest[record.Resource] = owner.Epoch;
            committed.Add((record.Resource, owner));
            cluster.Trace(null, $"committed {revision} {record.Resource} -> {owner} ({record.Reason})");
        }
    }
}

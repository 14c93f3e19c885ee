using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.Placement;

namespace Evenkeel.Core.Failover;

/// <summary>Where instances run, and who owns the single-active services: one placement for all, so that capacity is counted once.</summary>
public sealed class ServiceDecisions(Knowledge known, ControllerMemory memory, OwnerJudge judge, FenceDecisions fences)
{
    private readonly ReplicaChoice replicas = new(known);
    private readonly VolumeDecisions volumes = new(known, memory, judge, fences, new ReplicaChoice(known));

    public void Decide(DecisionBatch batch, bool settled)
    {
        var spec = known.Spec!;
        var services = PlacementOrder.Of(spec.Services);
        var placer = new Placer(spec.Nodes.Values.OrderBy(node => node.Name).Select(node => new NodeRoom(node, AvailabilityOf(node))), services);
        var single = new SingleActiveDecisions(known, memory, judge, fences, replicas, placer);
        foreach (var service in services)
        {
            if (service.Activity == Activity.SingleActive) single.Keep(service);
            placer.Keep(service, Assigned(service).Where(node => known.LiveInstance(node, service.Name) is not { Ban: not Ban.None }), Wanted(service));
        }
        foreach (var service in services)
        {
            if (batch.IsFull) return;
            if (service.Activity == Activity.SingleActive) single.Decide(service, batch, settled);
            Assign(service, placer, batch, settled);
        }
        volumes.Decide(batch, settled);
        DropRemoved(batch);
    }

    private IReadOnlyList<NodeName> Assigned(ServiceSpec service) =>
        known.State.Assignments.TryGetValue(service.Name, out var record) ? record.Value.Nodes : [];

    // A following single-active service keeps one standby at least; while nobody knows which copy of its data has every write,
    // every node looks at what it has.
    private int Wanted(ServiceSpec service) =>
        service.Activity == Activity.Spread ? service.Instances
        : replicas.IsUnknown(service) ? known.Spec!.Nodes.Values.Count(node => node.Role == NodeRole.Full)
        : RedundancyPolicy.Of(service).StandbyRuns ? Math.Max(2, service.Instances) : 0;

    private void Assign(ServiceSpec service, Placer placer, DecisionBatch batch, bool settled)
    {
        if (Wanted(service) == 0) return;
        var current = Assigned(service);
        if (current.Count == 0 && !settled) return;
        var closed = IsLeaderLost(service);
        placer.Fill(service, current, Wanted(service), node => known.IsBanned(service.Name, node) || (closed && !current.Contains(node)) ? null : memory.FailedLately(ResourceId.Service(service.Name), node) ? 1 : 0);
        SortedSet<NodeName> nodes = [.. placer.Where(service.Name)];
        // Whoever takes over from a node that is being emptied must serve first.
        if (service.Activity == Activity.Spread && nodes.Count(node => Serves(node, service)) < Math.Min(nodes.Count, service.Instances))
            foreach (var leaving in current.Where(node => known.ModeOf(node) == NodeMode.Draining && Serves(node, service))) nodes.Add(leaving);
        if (nodes.SetEquals(current)) return;
        batch.Put(new Assignment(service.Name, [.. nodes]) { Reason = Change(current, nodes) });
    }

    // Nobody acts, and who did is not here: a standby on a further node would find nobody to copy from, start empty, and by its agent's
    // word might then be promoted over those that have the data.
    private bool IsLeaderLost(ServiceSpec service) =>
        service.IsFollowed && known.State.Ownerships.TryGetValue(service.Resource, out var record)
        && (record.Value.Current?.Node ?? record.Value.Previous) is { } former && known.Spec!.Nodes.ContainsKey(former)
        && (!known.IsAlive(former) || known.ModeOf(former) == NodeMode.Maintenance || known.FenceOf(former) is not null)
        && !known.Spec.Nodes.Keys.Any(node => known.LiveInstance(node, service.Name) is { Epoch: not null });

    private bool Serves(NodeName node, ServiceSpec service) =>
        known.LiveInstance(node, service.Name)?.Serves(service) == true;

    private static string Change(IReadOnlyList<NodeName> before, SortedSet<NodeName> after)
    {
        var added = string.Join(", ", after.Except(before).Select(node => "+" + node));
        var removed = string.Join(", ", before.Except(after).Select(node => "-" + node));
        return (added + " " + removed).Trim();
    }

    private void DropRemoved(DecisionBatch batch)
    {
        foreach (var record in known.State.Assignments.Values)
            if (!batch.IsFull && !(known.Services.TryGetValue(record.Value.Service, out var service) && (service.IsVolume || Wanted(service) > 0))) batch.Delete(record);
        foreach (var (resource, record) in known.State.Ownerships)
            if (!batch.IsFull && resource.Kind == "service" && record.Value.Current is not null
                && !(known.Spec!.Services.TryGetValue(resource.Name, out var service) && service.Activity == Activity.SingleActive))
                batch.Put(Epochs.Nobody(record.Value, "the service was taken out of the file"));
    }

    private Availability AvailabilityOf(NodeSpec node)
    {
        if (node.Role == NodeRole.Witness || known.FenceOf(node.Name) is not null) return Availability.Shut;
        var mode = known.ModeOf(node.Name);
        if (mode == NodeMode.Maintenance) return Availability.Shut;
        if (known.FactsOf(node.Name) is { Restarting: true } && (known.IsAlive(node.Name) || known.IsAway(node.Name))) return Availability.Keeps;
        if (!known.IsAlive(node.Name))
        {
            var since = known.Peers.Find(node.Name)?.Since ?? TimeSpan.Zero;
            return known.Awake - since < 10 * known.Timings.Detection ? Availability.Keeps : Availability.Lost;
        }
        return mode switch
        {
            NodeMode.Draining => Availability.Leaving,
            NodeMode.Quarantined => Availability.Reluctant,
            _ => Availability.Open,
        };
    }
}

using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Replication;

/// <summary>
/// What each replica would lose if the active instance were lost now, as this agent knows it; of a lost one, what it had said last.
/// For status and metrics: nothing is decided by it.
/// </summary>
public sealed class LagBook(Knowledge known)
{
    private readonly Dictionary<string, (Epoch Epoch, PositionHistory History)> histories = new(StringComparer.Ordinal);

    public void OnTick()
    {
        if (known.Spec is not { } spec) return;
        foreach (var service in known.Services.Values)
        {
            if (!service.IsReplicated || Active(spec, service.Name) is not { Epoch: { } epoch, Position: { } position } active) continue;
            if (!histories.TryGetValue(service.Name, out var kept) || kept.Epoch != epoch) histories[service.Name] = kept = (epoch, new PositionHistory());
            kept.History.Add(known.Awake, position, active.Replication?.Transactions ?? 0);
        }
    }

    /// <summary>Null when it is no replica that follows, or nothing is known of what it follows.</summary>
    public ReplicaLag? Of(string service, NodeName node) =>
        known.LiveInstance(node, service) is { Epoch: null, Replication.Streaming: true, Position: { } position } && histories.TryGetValue(service, out var kept)
            ? kept.History.Of(position, known.Awake) : null;

    private InstanceFacts? Active(ClusterSpec spec, string service)
    {
        foreach (var node in spec.Nodes.Keys)
            if (known.LiveInstance(node, service) is { Epoch: not null } active) return active;
        return null;
    }
}

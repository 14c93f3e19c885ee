using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// Before the cluster knows which data is a database's own, every node says what it found on its disk: an empty node must not make a
/// new database beside one that is there, and the furthest of several copies begins, not one that lagged behind.
/// </summary>
public static class FoundData
{
    /// <summary>Nothing is committed of its data yet. What lies on a volume is the same wherever that is mounted.</summary>
    public static bool IsAsked(Knowledge known, ServiceSpec service) =>
        service.Driver is PostgreSqlDriverSpec && service.Mounts.Count == 0 && known.SyncSetOf(service.Name)?.Value.Data is null;

    /// <summary>The full nodes that have not said what they have.</summary>
    public static IReadOnlyList<NodeName> Missing(Knowledge known, ServiceSpec service) =>
        [.. from node in known.Spec!.Nodes.Values where node.Role == NodeRole.Full && Of(known, service, node.Name) is null orderby node.Name select node.Name];

    /// <summary>What speaks against every choice, for people; null when nothing does.</summary>
    public static (string What, string Do)? Problem(Knowledge known, ServiceSpec service)
    {
        if (!IsAsked(known, service)) return null;
        var found = (from node in known.Spec!.Nodes.Keys
                     let data = Of(known, service, node)?.Data
                     where data is not null
                     orderby node
                     select (Node: node, Data: data)).ToList();
        var systems = found.GroupBy(one => one.Data, one => one.Node, StringComparer.Ordinal).ToList();
        if (systems.Count > 1)
        {
            return ($"{string.Join(", ", systems.Select(system => $"{string.Join(" and ", system)} ({system.Key})"))} hold different databases (system identifiers) for {service.Name}: which one counts is not guessed",
                "Move the data that does not count away on its nodes; then the other is taken, and copied there");
        }

        var missing = Missing(known, service);
        return found.Count > 0 && missing.Count > 0
            ? ($"{string.Join(" and ", found.Select(one => one.Node))} {(found.Count == 1 ? "has" : "have")} data for {service.Name}, and {string.Join(" and ", missing)} may have more of it",
                $"Bring back {string.Join(" and ", missing)}, or take {(missing.Count == 1 ? "it" : "them")} out of the cluster") : null;
    }

    // A lost node's last word counts: what it has at rest does not change.
    private static ReplicationFacts? Of(Knowledge known, ServiceSpec service, NodeName node) =>
        known.FactsOf(node)?.Instances.FirstOrDefault(instance => instance.Service == service.Name)?.Replication;
}

using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Whether the nodes have what the services need, all together and each for itself.</summary>
internal static class CapacityChecks
{
    public static void All(ClusterSpec spec, Findings findings)
    {
        var nodes = spec.Nodes.Values.Where(node => node.Role == NodeRole.Full).ToList();
        foreach (var service in spec.Services.Values)
            foreach (var (resource, need) in service.Needs)
            {
                var fitting = nodes.Count(node => Has(node, resource) >= need);
                if (fitting < service.Instances && nodes.Count >= service.Instances)
                    findings.Error($"services.{service.Name}.needs.{resource}",
                        fitting == 0 ? $"no node has {Words.Number(need)} of {resource}" : $"{service.Instances} instances need {Words.Number(need)} of {resource} each, but only {fitting} nodes have that",
                        "Lower the need, raise a node's 'capacity', or lower 'instances'");
            }
        foreach (var resource in spec.Services.Values.SelectMany(service => service.Needs.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            var need = spec.Services.Values.Sum(service => service.Instances * service.Needs.GetValueOrDefault(resource));
            var capacity = nodes.Sum(node => Has(node, resource));
            if (need > capacity)
                findings.Error("services", $"together they need {Words.Number(need)} of {resource}, the nodes have {Words.Number(capacity)}", "Lower the needs, or add capacity");
            // The loss of the largest node: spread instances need not run elsewhere, single-active ones must.
            else if (nodes.Count > 1 && nodes.Max(node => Has(node, resource)) is var largest && double.IsFinite(capacity)
                && spec.Services.Values.Where(service => service.Activity == Activity.SingleActive).Sum(service => service.Needs.GetValueOrDefault(resource)) > capacity - largest)
                findings.Warning("services", $"without the largest node single-active services no longer have the {resource} that they need", "Add capacity, or lower the needs");
        }
    }

    // A resource that a node does not mention is unlimited there.
    private static double Has(NodeSpec node, string resource) => node.Capacity.TryGetValue(resource, out var amount) ? amount : double.PositiveInfinity;
}

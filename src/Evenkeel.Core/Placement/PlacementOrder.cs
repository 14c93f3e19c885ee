using Evenkeel.Core.Model;

namespace Evenkeel.Core.Placement;

/// <summary>Services in an order in which each comes after those that it must share a node with; else by name.</summary>
public static class PlacementOrder
{
    public static IReadOnlyList<ServiceSpec> Of(IReadOnlyDictionary<string, ServiceSpec> services)
    {
        List<ServiceSpec> order = new(services.Count);
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (var service in services.Values.OrderBy(service => service.Name, StringComparer.Ordinal)) Visit(service);
        return order;

        // A circle of `with` ends at whom it comes back to: the first by name leads.
        void Visit(ServiceSpec service)
        {
            if (!seen.Add(service.Name)) return;
            foreach (var leader in service.Placement.With)
                if (services.TryGetValue(leader, out var first)) Visit(first);
            order.Add(service);
        }
    }
}

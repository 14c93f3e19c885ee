using Evenkeel.Core.Model;

namespace Evenkeel.Core.Placement;

/// <summary>
/// Services in an order in which each comes after those that it must share a node with. Where that leaves a choice it also comes after
/// those that it must not share one with (who declares it yields) and before those that it depends on (it leaves a node first); else by name.
/// </summary>
public static class PlacementOrder
{
    public static IReadOnlyList<ServiceSpec> Of(IReadOnlyDictionary<string, ServiceSpec> services)
    {
        List<ServiceSpec> order = new(services.Count);
        HashSet<string> seen = new(StringComparer.Ordinal);
        var dependents = services.Values.OrderBy(service => service.Name, StringComparer.Ordinal)
            .SelectMany(service => service.DependsOn.Select(needed => (needed, service))).ToLookup(pair => pair.needed, pair => pair.service, StringComparer.Ordinal);
        foreach (var service in services.Values.OrderBy(service => service.Name, StringComparer.Ordinal)) Visit(service);
        return order;

        // A circle of `with` ends at whom it comes back to: the first by name leads. Who must share a node with nobody may come at any place.
        void Visit(ServiceSpec service)
        {
            if (!seen.Add(service.Name)) return;
            foreach (var leader in service.Placement.With)
                if (services.TryGetValue(leader, out var first)) Visit(first);
            foreach (var other in service.Placement.Apart)
                if (services.TryGetValue(other, out var first) && first.Placement.With.Count == 0) Visit(first);
            foreach (var dependent in dependents[service.Name])
                if (dependent.Placement.With.Count == 0) Visit(dependent);
            order.Add(service);
        }
    }
}

using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.PublicConnection;

/// <summary>
/// The route table as this agent sees the cluster. A balancer follows its own view of liveness, not the controller's: it
/// leaves a silent node within the detection time, whether or not anybody can decide anything.
/// </summary>
public sealed class RouteBuilder(Knowledge known, DoorPolicy doors)
{
    private RouteTable published = RouteTable.Empty;

    public RouteTable Current => published;

    /// <summary>The new table, when it differs from the last one.</summary>
    public RouteTable? Build()
    {
        if (known.Spec is not { } spec || !known.HasState) return null;
        List<Route> routes = [.. spec.Services.Values.SelectMany(service => service.Publish
            .Where(door => spec.Vips.ContainsKey(door.Vip)).SelectMany(door => RoutesOf(spec, service, door)))];
        // The first table is told even when it is empty: a balancer without one does not know that it has nothing to open.
        if (published.Version > 0 && Same(routes, published.Routes)) return null;
        return published = new RouteTable(published.Version + 1, routes);
    }

    private IEnumerable<Route> RoutesOf(ClusterSpec spec, ServiceSpec service, PublishSpec door)
    {
        var route = RouteOf(spec, service, door);
        yield return route;
        if (door.Door.Http.Tls is { RedirectFrom: { } port })
            yield return route with
            {
                Listen = route.Listen with { Port = doors.Port(port) },
                RedirectPort = route.Listen.Port,
                Door = door.Door with { Http = door.Door.Http with { Tls = null } },
                Destinations = [],
            };
    }

    private Route RouteOf(ClusterSpec spec, ServiceSpec service, PublishSpec door) => new()
    {
        Service = service.Name,
        Vip = door.Vip,
        Listen = new PublicEndpoint(spec.Vips[door.Vip].Address, doors.Port(door.Port)),
        Protocol = door.Protocol,
        Balance = door.Balance,
        Health = service.Health,
        ToPrimary = !door.ToStandbys && (door.ToPrimary || service.Activity == Activity.SingleActive),
        Door = door.Door,
        DrainTimeout = service.DrainTimeout,
        Destinations = Destinations(spec, service, door),
    };

    private IReadOnlyList<Destination> Destinations(ClusterSpec spec, ServiceSpec service, PublishSpec door)
    {
        if (service.Driver.Port is not { } port) return [];
        List<Destination> all = [.. from node in spec.Nodes.Values
            where node.Role != NodeRole.Witness
            let state = service.Activity == Activity.Spread ? SpreadState(node.Name, service) : door.ToStandbys ? StandbyState(node.Name, service) : OwnerState(node.Name, service)
            where state is not null
            select new Destination(service.Name, node.Name, new PrivateEndpoint(node.Private[0], port), state.Value, door.Door.Weights.GetValueOrDefault(node.Name, 100))];
        if (all.Any(one => one.State == DestinationState.Up)) return all;
        // Readers would rather be served by the primary than by nobody.
        if (door.ToStandbys) return Destinations(spec, service, door with { ToStandbys = false });
        // Draining with nothing else up would be an outage by our own hand: what drains serves on.
        if (all.Any(one => one.State == DestinationState.Draining))
            return [.. all.Select(one => one.State == DestinationState.Draining ? one with { State = DestinationState.Up } : one)];
        // When every check fails at once, rather the machines are busy or the check is wrong than all instances are gone.
        return [.. all.Select(one => RunsThoughUnhealthy(one.Node, service) ? one with { State = DestinationState.Up } : one)];
    }

    private bool RunsThoughUnhealthy(NodeName node, ServiceSpec service) =>
        service.Activity == Activity.Spread && known.LiveInstance(node, service.Name) is { Status: InstanceStatus.Running, Health: Health.Unhealthy };

    private DestinationState? SpreadState(NodeName node, ServiceSpec service)
    {
        var assigned = known.State.Assignments.TryGetValue(service.Name, out var assignment) && assignment.Value.Nodes.Contains(node);
        var instance = known.LiveInstance(node, service.Name);
        if (!assigned && instance is null) return null;
        if (instance?.Serves(service) != true) return DestinationState.Down;
        return assigned && !instance.Leaving && known.ModeOf(node) is NodeMode.Active or NodeMode.Quarantined ? DestinationState.Up : DestinationState.Draining;
    }

    private DestinationState? OwnerState(NodeName node, ServiceSpec service)
    {
        var owner = known.State.Ownerships.TryGetValue(ResourceId.Service(service.Name), out var record) ? record.Value.Current : null;
        if (owner?.Node != node) return null;
        return known.LiveInstance(node, service.Name) is { } instance && instance.Serves(service) && instance.Epoch == owner.Epoch ? DestinationState.Up : DestinationState.Down;
    }

    private DestinationState? StandbyState(NodeName node, ServiceSpec service)
    {
        if (known.LiveInstance(node, service.Name) is not { Epoch: null, Replication: { } replication } instance) return null;
        return !instance.Serves(service) || !replication.Streaming ? DestinationState.Down
            : known.ModeOf(node) is NodeMode.Active or NodeMode.Quarantined && !instance.Leaving ? DestinationState.Up : DestinationState.Draining;
    }

    private static bool Same(IReadOnlyList<Route> left, IReadOnlyList<Route> right) =>
        left.Count == right.Count && left.Zip(right).All(pair =>
            pair.First with { Destinations = pair.Second.Destinations } == pair.Second
            && pair.First.Destinations.SequenceEqual(pair.Second.Destinations));
}

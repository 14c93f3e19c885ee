using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Doors: no two on one port, somebody behind each, ports that do not collide on a node.</summary>
internal static class PublishChecks
{
    public static void All(Names names, ClusterSpec spec, Findings findings)
    {
        var doors = new Dictionary<(string Vip, int Port), List<(string Service, PublishSpec Door)>>();
        var ports = new Dictionary<int, string>();
        foreach (var service in spec.Services.Values)
        {
            var at = $"services.{service.Name}";
            for (var i = 0; i < service.Publish.Count; i++)
            {
                var door = service.Publish[i];
                DoorChecks.Shared(doors, service.Name, door, $"{at}.publish[{i}]", findings);
                DoorChecks.Keys(spec, door, $"{at}.publish[{i}]", findings);
                if (door.ToPrimary && service.Activity == Activity.Spread)
                    findings.Error($"{at}.publish[{i}].to", "a spread service has no primary", "Remove 'to: primary', or write 'activity: single'");
                if (door.ToStandbys && (!service.IsReplicated || service.Redundancy == Redundancy.Cold))
                    findings.Error($"{at}.publish[{i}].to", "no standby of this service answers clients", "Remove 'to: standbys'");
                else if (!door.ToPrimary && service.Activity == Activity.SingleActive && service.Redundancy == Redundancy.Cold)
                    findings.Warning($"{at}.publish[{i}].to", "a cold service has only its one active instance behind the door", "Remove 'to: all'");
            }
            DoorChecks.Weights(service, at, findings);
            if (service.Publish.Count > 0 && service.Driver.Port is null)
                findings.Error(at, "it is published, but nothing says on which port an instance listens", "Add 'port: NUMBER' to the service, or write {private}:PORT in its command");
            // Instances of different services meet on one node's private address, unless they must stay apart.
            if (service.Driver.Port is { } port && !ports.TryAdd(port, service.Name) && !service.Placement.Apart.Contains(ports[port])
                && !(spec.Services.TryGetValue(ports[port], out var other) && other.Placement.Apart.Contains(service.Name)))
                findings.Error($"{at}.port", $"'{ports[port]}' listens on port {port} of the private address too, and both may run on one node", $"Choose another port, or add 'apart: [{ports[port]}]' to 'placement'");
        }
    }
}

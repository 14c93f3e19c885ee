using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <param name="What">Such as <c>node n1, private</c> or <c>vip front, port 80</c>.</param>
/// <param name="Declared">As in the file.</param>
/// <param name="Local">What it is on this machine.</param>
public sealed record MappedAddress(string What, string Declared, string Local);

/// <param name="Spec">The spec to run on this machine.</param>
/// <param name="Map">For the user, in the order of the file.</param>
public sealed record LocalCluster(ClusterSpec Spec, IReadOnlyList<MappedAddress> Map);

/// <summary>
/// Fits any cluster onto one machine's loopback, for <c>up</c> and <c>demo</c>: nodes' private addresses become 127.77.1.N
/// (second link 127.77.11.N, and so on), public ones 127.77.2.N, virtual IPs 127.77.0.N; published ports under 1024, which
/// need root, get 8000 added (the next free one when that is taken).
/// </summary>
public static class LocalMapping
{
    private const int GreatestCount = 254;
    private const int GreatestLinks = 8;

    /// <param name="spec">As declared.</param>
    /// <param name="directory">The cluster file's directory: where commands run unless the file says otherwise.</param>
    /// <param name="map">Null when the cluster is too large for this mapping, with the reason in <paramref name="problem"/>.</param>
    public static bool TryMap(ClusterSpec spec, string directory, out LocalCluster map, out string problem)
    {
        problem = spec.Nodes.Count > GreatestCount || spec.Vips.Count > GreatestCount
            ? $"more than {GreatestCount} nodes or virtual IPs do not fit on one machine"
            : spec.Networks.Private.Count > GreatestLinks ? $"more than {GreatestLinks} private networks do not fit on one machine" : "";
        map = problem.Length == 0 ? Map(spec, directory) : null!;
        return problem.Length == 0;
    }

    private static LocalCluster Map(ClusterSpec spec, string directory)
    {
        var lines = new List<MappedAddress>();
        var nodes = spec.Nodes.Values.Select((node, index) => MapNode(node, index + 1, lines)).ToDictionary(node => node.Name);
        var vips = spec.Vips.Values.Select((vip, index) => MapVip(vip, index + 1, lines)).ToDictionary(vip => vip.Name, StringComparer.Ordinal);
        var services = new Dictionary<string, ServiceSpec>(StringComparer.Ordinal);
        var taken = spec.Services.Values.SelectMany(service => service.Publish)
            .SelectMany(door => door.Ports, (door, port) => (door.Vip, Port: port)).Where(at => at.Port >= 1024).Distinct().ToDictionary(at => at, at => at.Port);
        foreach (var service in spec.Services.Values)
            services[service.Name] = service with
            {
                // A node is a few processes here: nothing is to be cut off.
                Requires = Requirement.Quorum,
                Publish = [.. service.Publish.Select(door => MapDoor(door, service.Name, vips, taken, lines))],
                Driver = OnOneMachine(BackupReader.WithoutArchiving(SpecLocation.In(service.Driver, directory))),
            };
        return new LocalCluster(spec with
        {
            Networks = new NetworksSpec(spec.Networks.Public is null ? null : IPNetwork.Parse("127.77.0.0/22"),
                [.. spec.Networks.Private.Select((_, link) => IPNetwork.Parse($"127.77.{PrivateOctet(link)}.0/24"))]),
            Nodes = nodes,
            Vips = vips,
            Services = services,
            // Every leg lies on this machine, so each needs a name of its own.
            Volumes = spec.Volumes.ToDictionary(pair => pair.Key, pair => pair.Value with { Legs = [.. pair.Value.Legs.Select(leg => leg with { Path = $"{leg.Path}-{leg.Node}" })] }, StringComparer.Ordinal),
            Coordination = new CoordinationSpec(CoordinationKind.Embedded),
            // A trial on somebody's own machine wakes nobody up.
            Alerts = [],
            // Nor does it write into the repositories of the real one.
            Backups = new Dictionary<string, BackupSpec>(),
        }, lines);
    }

    // Every node's data lies on this machine: without the node in its path, all would share one directory.
    private static DriverSpec OnOneMachine(DriverSpec driver) =>
        driver is PostgreSqlDriverSpec postgresql && !postgresql.Data.Contains("{node}", StringComparison.Ordinal)
            ? postgresql with { Data = postgresql.Data + "-{node}" } : driver;

    // Link 0 is 127.77.1.0/24; the others stay clear of 127.77.0.0/22, which holds virtual IPs and public addresses.
    private static int PrivateOctet(int link) => link == 0 ? 1 : 10 + link;

    private static NodeSpec MapNode(NodeSpec node, int number, List<MappedAddress> lines)
    {
        var links = node.Private.Select((_, link) => IPAddress.Parse($"127.77.{PrivateOctet(link)}.{number}")).ToList();
        lines.AddRange(links.Select((address, link) => new MappedAddress($"node {node.Name}, private", node.Private[link].ToString(), address.ToString())));
        var mapped = node with { Private = links, Fence = null };
        if (node.Public is not { } declared)
            return mapped;
        var local = IPAddress.Parse($"127.77.2.{number}");
        lines.Add(new MappedAddress($"node {node.Name}, public", declared.ToString(), local.ToString()));
        return mapped with { Public = local, FurtherPublic = [] };
    }

    private static VipSpec MapVip(VipSpec vip, int number, List<MappedAddress> lines)
    {
        var local = IPAddress.Parse($"127.77.0.{number}");
        lines.Add(new MappedAddress($"vip {vip.Name}", vip.Address.ToString(), local.ToString()));
        return vip with { Address = local, PrefixLength = 32, Hook = null };
    }

    private static PublishSpec MapDoor(PublishSpec door, string service, Dictionary<string, VipSpec> vips, Dictionary<(string Vip, int Port), int> taken, List<MappedAddress> lines)
    {
        var port = MapPort(door.Vip, door.Port, taken);
        var tls = door.Door.Http.Tls;
        var scheme = door.Protocol != PublishProtocol.Http ? "" : tls is null ? "http://" : "https://";
        lines.Add(new MappedAddress($"service {service}", $"{door.Vip} port {door.Port}", $"{scheme}{vips[door.Vip].Address}:{port}"));
        if (tls?.RedirectFrom is not { } other)
            return door with { Port = port };
        var redirect = MapPort(door.Vip, other, taken);
        lines.Add(new MappedAddress($"service {service}", $"{door.Vip} port {other}", $"http://{vips[door.Vip].Address}:{redirect}"));
        return door with { Port = port, Door = door.Door with { Http = door.Door.Http with { Tls = tls with { RedirectFrom = redirect } } } };
    }

    // Entries that share a port go on sharing it.
    private static int MapPort(string vip, int declared, Dictionary<(string Vip, int Port), int> taken)
    {
        if (taken.TryGetValue((vip, declared), out var known))
            return known;
        var port = declared + 8000;
        while (taken.Any(other => other.Key.Vip == vip && other.Value == port))
            port++;
        return taken[(vip, declared)] = port;
    }
}

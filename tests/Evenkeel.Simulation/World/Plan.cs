using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>What a seed's cluster looks like: its size, timings, VIPs and services.</summary>
public static class Plan
{
    public const string Cluster = "sim";

    public static ClusterSpec Draw(Chance chance)
    {
        var count = chance.Pick([3, 3, 3, 4, 5]);
        var nodes = Enumerable.Range(1, count).Select(i => new NodeSpec
        {
            Name = new($"n{i}"),
            Public = IPAddress.Parse($"203.0.113.{10 + i}"),
            Private = [IPAddress.Parse($"10.10.0.{10 + i}")],
            // A witness in some clusters; an even number of nodes has an odd number of voters.
            Role = i == count && chance.Happens(0.3) ? NodeRole.Witness : NodeRole.Full,
            Votes = count % 2 == 1 || i < count,
            Fence = new FenceSpec("fence_sim", new Dictionary<string, string>()),
        }).ToDictionary(node => node.Name);
        return new ClusterSpec
        {
            Cluster = Cluster,
            Networks = new NetworksSpec(IPNetwork.Parse("203.0.113.0/24"), [IPNetwork.Parse("10.10.0.0/24")]),
            Nodes = nodes,
            Vips = new[] { Vip("front", 100, "pair"), Vip("back", 101, "pair"), Vip("solo", 102, null) }.ToDictionary(vip => vip.Name),
            Services = new[]
            {
                Service("web", Redundancy.Hot, Activity.Spread, nodes.Count) with { Publish = [new PublishSpec { Vip = "front", Port = 80, Protocol = PublishProtocol.Http }] },
                Service("reports", Redundancy.Cold, Activity.SingleActive, 1),
                // Bound to another in larger clusters, where there is a choice.
                Service("queue", Redundancy.Warm, Activity.SingleActive, 1) with
                {
                    DependsOn = count > 3 ? ["reports"] : [],
                    Placement = new PlacementSpec { With = count == 4 ? ["reports"] : [], Apart = count == 5 ? ["reports"] : [] },
                },
                Service(SimUnit.Service, Redundancy.Cold, Activity.SingleActive, 1) with { Driver = new SystemdDriverSpec { Unit = "unit.service" }, Requires = Requirement.Fencing },
                Database(nodes.Values.Count(node => node.Role == NodeRole.Full)),
            }.ToDictionary(service => service.Name),
            Timings = Timings.Default with
            {
                DriftBound = chance.Pick([0.01, 0.01, 0.05, 0.2]),
                AgentAbsence = TimeSpan.FromSeconds(chance.Pick([0.8, 1.5, 5])),
            },
        };
    }

    /// <summary>The same with a volume, and a service that works on it, in the place of the database: what is lost is the volume's.</summary>
    public static ClusterSpec WithVolume(ClusterSpec spec, Chance chance)
    {
        var legs = spec.Nodes.Values.Where(node => node.Role == NodeRole.Full).Take(chance.Pick([2, 2, 3])).Select(node => new VolumeLeg(node.Name, "/srv/leg"));
        return spec with
        {
            Volumes = new Dictionary<string, VolumeSpec> { [SimVolume.Name] = new() { Name = SimVolume.Name, Level = 1, Size = 1 << 30, Legs = [.. legs] } },
            Services = spec.Services.Values.Where(service => service.Name != SimDatabase.Service).Append(Service(SimVolume.User, Redundancy.Cold, Activity.SingleActive, 1) with { Mounts = [new MountSpec(SimVolume.Name, "/srv/files")] })
                .ToDictionary(service => service.Name),
        };
    }

    /// <summary>Its database's commits wait for any of all its standbys, and every node that is no witness has one.</summary>
    public static ClusterSpec ByQuorum(ClusterSpec spec, int copies)
    {
        var full = spec.Nodes.Values.Count(node => node.Role == NodeRole.Full);
        var database = Database(full) with { Instances = full };
        database = database with { Driver = (PostgreSqlDriverSpec)database.Driver with { Quorum = true, SynchronousStandbys = Math.Clamp(full - 2, 1, copies) } };
        return spec with { Services = spec.Services.Values.Select(service => service.Name == database.Name ? database : service).ToDictionary(service => service.Name) };
    }

    /// <summary>Three nodes, nothing drawn: the cluster of the golden scenarios.</summary>
    public static ClusterSpec Fixed() => Draw(new Chance(5)) with
    {
        Nodes = Enumerable.Range(1, 3).Select(i => new NodeSpec
        {
            Name = new($"n{i}"), Public = IPAddress.Parse($"203.0.113.{10 + i}"), Private = [IPAddress.Parse($"10.10.0.{10 + i}")],
        }).ToDictionary(node => node.Name),
        Services = new[]
        {
            Service("web", Redundancy.Hot, Activity.Spread, 3) with { Publish = [new PublishSpec { Vip = "front", Port = 80, Protocol = PublishProtocol.Http }] },
            Service("reports", Redundancy.Cold, Activity.SingleActive, 1) with { Placement = new PlacementSpec { Prefer = [new("n3")] } },
            Service("queue", Redundancy.Warm, Activity.SingleActive, 1),
        }.ToDictionary(service => service.Name),
        Timings = Timings.Default,
    };

    private static VipSpec Vip(string name, int last, string? group) =>
        new() { Name = name, Address = IPAddress.Parse($"203.0.113.{last}"), PrefixLength = 24, Group = group };

    private static ServiceSpec Database(int instances) => new()
    {
        Name = "db",
        Redundancy = Redundancy.Hot,
        Activity = Activity.SingleActive,
        Instances = Math.Min(3, instances),
        Driver = new PostgreSqlDriverSpec { Data = "/srv/db", Port = 5432 },
    };

    private static ServiceSpec Service(string name, Redundancy redundancy, Activity activity, int instances) => new()
    {
        Name = name,
        Redundancy = redundancy,
        Activity = activity,
        Instances = instances,
        Driver = new ProcessDriverSpec { Command = ["./" + name], Port = 5000 + name.Length },
        Health = activity == Activity.Spread ? new HealthSpec { Kind = ProbeKind.Http, Path = "/" } : null,
    };
}

using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Tests;

/// <summary>A cluster of nodes named n1 and up at 10.0.0.1 and up, for tests of what decides over them.</summary>
internal static class SmallSpec
{
    public static ClusterSpec Of(IEnumerable<NodeName> nodes, params ServiceSpec[] services) => new()
    {
        Cluster = "t",
        Networks = new NetworksSpec(null, [IPNetwork.Parse("10.0.0.0/24")]),
        Vips = new Dictionary<string, VipSpec>(),
        Nodes = nodes.ToDictionary(node => node, node => new NodeSpec { Name = node, Private = [IPAddress.Parse($"10.0.0.{node.Value[1]}")] }),
        Services = services.ToDictionary(service => service.Name),
    };

    public static ServiceSpec Database(int instances) => new()
    {
        Name = "db", Redundancy = Redundancy.Hot, Activity = Activity.SingleActive, Instances = instances, Driver = new PostgreSqlDriverSpec { Data = "/data" },
    };
}

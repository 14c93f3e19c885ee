using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.Ocf;

/// <summary>What agents call a node: its name, or its private address for agents that connect to a node by what it is called.</summary>
internal static class NodeNames
{
    public static string Of(InstanceOrder order) => ByAddress(order) ? order.Node.Private[0].ToString() : order.Node.Name.Value;

    public static string Of(InstanceOrder order, Upstream upstream) => ByAddress(order) ? upstream.Endpoint.Address.ToString() : upstream.Node.Value;

    private static bool ByAddress(InstanceOrder order) => order.Spec.Driver is OcfDriverSpec { NodesByAddress: true };
}

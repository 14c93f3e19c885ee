using System.Net;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;

namespace Evenkeel.FailoverBench;

/// <summary>Three nodes that serve a small web service behind one virtual IP, by one tool or another.</summary>
internal interface ISystem : IAsyncDisposable
{
    string Name { get; }
    LabNetwork Network { get; }
    IReadOnlyList<NodeName> Nodes { get; }

    Task StartAsync();

    /// <summary>Everything runs, and exactly one node holds the virtual IP.</summary>
    Task WholeAsync();

    /// <summary>The processes that a power failure of the node ends.</summary>
    void Kill(NodeName node);

    void BringBack(NodeName node);
}

internal static class Holders
{
    public static readonly IPAddress Vip = IPAddress.Parse("203.0.113.10");

    /// <summary>The nodes on whose public interface the virtual IP is now, asked of their kernels.</summary>
    public static async Task<IReadOnlyList<NodeName>> OfAsync(ISystem system)
    {
        var holders = new List<NodeName>();
        foreach (var node in system.Nodes)
        {
            var addresses = await SystemCommand.RunAsync(["ip", "-n", system.Network.Namespace(node.Value), "-4", "-o", "addr", "show", "dev", LabNetwork.PublicInterface], CancellationToken.None);
            if (addresses.Contains($" {Vip}/", StringComparison.Ordinal))
            {
                holders.Add(node);
            }
        }

        return holders;
    }
}

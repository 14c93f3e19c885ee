using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.FailoverBench;

/// <summary>Evenkeel with its default timings: the example's file in a lab.</summary>
internal sealed class EvenkeelSystem : ISystem
{
    private readonly LabCluster _cluster;

    public EvenkeelSystem()
    {
        var directory = Path.Combine(Checkout.Root, "examples", "web");
        var text = File.ReadAllText(Path.Combine(directory, "cluster.yaml")).Replace("cluster: demo", "cluster: bench", StringComparison.Ordinal);
        _cluster = new LabCluster(ClusterFile.Parse(text).Spec ?? throw new InvalidOperationException("the example's file is refused"), text, directory)
        {
            ProgramFile = Checkout.Program,
        };
    }

    public string Name => "Evenkeel";
    public LabNetwork Network => _cluster.Network;
    public IReadOnlyList<NodeName> Nodes => [.. _cluster.Spec.Nodes.Keys];
    public Task StartAsync() => _cluster.StartAsync(CancellationToken.None);
    public Task WholeAsync() => _cluster.WaitUntilWholeAsync(CancellationToken.None);
    public void Kill(NodeName node) => _cluster.Kill(node);
    public void BringBack(NodeName node) => _cluster.BringBack(node);
    /// <summary>What the agents said, for whoever wants to know where the time went.</summary>
    public void CopyLogs(string directory)
    {
        foreach (var node in Nodes)
        {
            File.Copy(Path.Combine(LocalPaths.Node(_cluster.Spec.Cluster, node.Value), "agent.log"), Path.Combine(directory, $"{node}-agent.log"), overwrite: true);
        }
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();
}

using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.PostgreSqlBench;

/// <summary>Evenkeel with its default timings.</summary>
internal sealed class EvenkeelSystem : ISystem
{
    private readonly DataDirectories _data = new();
    private readonly LabCluster _cluster;

    public EvenkeelSystem()
    {
        var text = $$"""
            version: 1
            cluster: pgbench
            networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
            vips: { front: 203.0.113.10 }
            nodes:
              n1: { public: 203.0.113.11, private: [10.77.0.11] }
              n2: { public: 203.0.113.12, private: [10.77.0.12] }
              n3: { public: 203.0.113.13, private: [10.77.0.13] }
            services:
              db:
                postgresql: { data: "{{_data.Root}}/{node}/db", pg_hba: ["host all all 10.77.0.0/24 trust"] }
                redundancy: hot
                publish: [{ vip: front, port: 5432, protocol: tcp, to: primary }]
            """;
        var read = ClusterFile.Parse(text);
        _cluster = new LabCluster(read.Spec ?? throw new InvalidOperationException($"the bench's own file is refused: {string.Join("; ", read.Diagnostics)}"), text, _data.Root) { ProgramFile = Checkout.Program };
    }

    public string Name => "Evenkeel";
    public LabNetwork Network => _cluster.Network;
    public IReadOnlyList<NodeName> Nodes => [.. _cluster.Spec.Nodes.Keys];
    public string Address => "203.0.113.10";

    public Task StartAsync() => _cluster.StartAsync(CancellationToken.None);

    public async Task<bool> IsWholeAsync()
    {
        await _cluster.WaitUntilWholeAsync(CancellationToken.None);
        return (await _cluster.StatusAsync(CancellationToken.None))?.Services.Single() is { Data.InSync.Count: >= 2 } && await PrimaryAsync() is not null;
    }

    public async Task<NodeName?> PrimaryAsync() => (await _cluster.StatusAsync(CancellationToken.None))?.Services.Single().Instances
        .Where(instance => instance is { Active: true, Health: Health.Healthy }).Select(instance => (NodeName?)instance.Node).FirstOrDefault();

    public async Task SwitchoverAsync(NodeName from)
    {
        var to = (await _cluster.StatusAsync(CancellationToken.None))!.Services.Single().Data!.InSync.First(node => node != from);
        if (await _cluster.MoveAsync(ResourceId.Service("db"), to, CancellationToken.None) is { } problem)
        {
            throw new InvalidOperationException(problem);
        }
    }

    public void Kill(NodeName node) => _cluster.Kill(node);

    public void BringBack(NodeName node) => _cluster.BringBack(node);

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _data.Dispose();
    }
}

using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>Three nodes in network namespaces, a hot PostgreSQL on them behind a real virtual IP, a client. Each test leaves it whole.</summary>
public sealed class DatabaseLab : IAsyncLifetime
{
    public const string Vip = "203.0.113.10";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(120);
    private readonly string name = $"d{Environment.ProcessId % 10000}";
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-db-").FullName;

    private string Text => $$"""
        version: 1
        cluster: {{name}}
        networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
        vips: { front: {{Vip}} }
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13] }
        services:
          db:
            postgresql:
              data: {{directory}}/{node}/db
              pg_hba: ["host all all 10.77.0.0/24 trust"]
            redundancy: hot
            publish:
              - { vip: front, port: 5432, protocol: tcp, to: primary }
              - { vip: front, port: 5433, protocol: tcp, to: standbys }
            objectives: { rto: 5s, rpo: 0s }
        """;

    internal LabCluster Cluster { get; private set; } = null!;

    internal static CancellationToken Deadline()
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(patience);
        return limit.Token;
    }

    public async ValueTask InitializeAsync()
    {
        // PostgreSQL runs as a user of its own, and must reach its data.
        foreach (var path in new[] { "", "n1", "n2", "n3" }.Select(node => Path.Combine(directory, node)))
            File.SetUnixFileMode(Directory.CreateDirectory(path).FullName, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute);
        var program = Checkout.Program;
        var read = ClusterFile.Parse(Text, "cluster.yaml");
        var spec = read.Spec ?? throw new InvalidOperationException($"the lab's own file is refused: {string.Join("; ", read.Diagnostics)}");
        Cluster = new LabCluster(spec, Text, directory) { ProgramFile = program };
        await Cluster.StartAsync(Deadline());
        await WholeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (Environment.GetEnvironmentVariable("EVENKEEL_LAB_LOGS") is { Length: > 0 } keep && Directory.Exists(keep))
            foreach (var node in Cluster.Nodes.Keys)
                foreach (var (log, to) in new[] { ("agent.log", "agent.log"), ("guard.log", "guard.log"), ("logs/db.log", "db.log") })
                    if (File.Exists(Path.Combine(LocalPaths.Node(name, node.Value), log)))
                        File.Copy(Path.Combine(LocalPaths.Node(name, node.Value), log), Path.Combine(keep, $"{node}-{to}"), overwrite: true);
        await Cluster.DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    internal Task<LedgerClient> WriteAsync() => LedgerClient.StartAsync(Cluster.Network.Namespace("client"), Vip, 5432, Deadline());

    internal async Task<ServiceReport> ServiceAsync() => (await Cluster.StatusAsync(Deadline()))?.Services.SingleOrDefault()
        ?? throw new InvalidOperationException("no agent answers");

    /// <summary>The node that acts; null while none does.</summary>
    internal async Task<NodeName?> PrimaryAsync() =>
        (await Cluster.StatusAsync(Deadline()))?.Services.Single().Instances.Where(instance => instance is { Active: true, Health: Health.Healthy }).Select(instance => (NodeName?)instance.Node).FirstOrDefault();

    internal async Task<NodeName> NextPrimaryAsync(NodeName former)
    {
        for (var deadline = Deadline(); ; await Task.Delay(50, deadline))
            if (await PrimaryAsync() is { } primary && primary != former) return primary;
    }

    /// <summary>Everything runs, and each acknowledged write is on two nodes at least.</summary>
    internal async Task WholeAsync()
    {
        var deadline = Deadline();
        try
        {
            await Cluster.WaitUntilWholeAsync(deadline);
            while ((await ServiceAsync()).Data is not { InSync.Count: >= 2 } || await PrimaryAsync() is null) await Task.Delay(50, deadline);
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            var status = await Cluster.StatusAsync(CancellationToken.None);
            throw new InvalidOperationException("the cluster did not become whole again: " + (status is null ? "no agent answers" : string.Join("; ",
                StatusFindings.Of(status).Select(finding => finding.What).Concat(status.Services.SelectMany(service => service.Instances.Select(instance =>
                    $"{service.Name}@{instance.Node} {instance.Status} {instance.Health} active={instance.Active} {instance.Detail}"))))));
        }
    }

    internal async Task RestoreAsync()
    {
        foreach (var node in Cluster.Nodes.Keys)
        {
            foreach (var link in Enum.GetValues<LabLink>()) await Cluster.Network.HealAsync(node, link, Deadline());
            foreach (var process in await LabNetwork.ProcessesIn(Cluster.Network.Namespace(node.Value))) Signals.Send(process, Signals.Continue);
            Cluster.BringBack(node);
        }
        await WholeAsync();
    }
}

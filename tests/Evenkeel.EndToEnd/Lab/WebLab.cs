using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Three nodes in network namespaces with two private links each, a managed three-member etcd, a hot web service behind a real
/// virtual IP, and a client. One lab for a class of tests: each leaves it whole.
/// </summary>
public sealed class WebLab : IAsyncLifetime
{
    private const string Vip = "203.0.113.10:80";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(90);

    private static string FileText(string cluster) => $$"""
        version: 1
        cluster: {{cluster}}
        networks:
          public: 203.0.113.0/24
          private: [10.77.0.0/24, 10.78.0.0/24]
        vips:
          front: 203.0.113.10
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11, 10.78.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12, 10.78.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13, 10.78.0.13] }
        services:
          web:
            process:
              command: [./service/bin/web, --urls, "http://{private}:5000", --node, "{node}"]
            redundancy: hot
            health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }
            publish: [{ vip: front, port: 80, protocol: http }]
            objectives: { rto: 1s, rpo: 0s }
        """;

    private readonly string name = $"t{Environment.ProcessId % 10000}";
    internal LabCluster Cluster { get; private set; } = null!;

    private static CancellationToken Deadline()
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(patience);
        return limit.Token;
    }

    public async ValueTask InitializeAsync()
    {
        var program = Checkout.Program;
        var text = FileText(name);
        var spec = ClusterFile.Parse(text, "cluster.yaml").Spec ?? throw new InvalidOperationException("the lab's own file is refused");
        Cluster = new LabCluster(spec, text, Path.Combine(Checkout.Root, "examples", "web")) { ProgramFile = program };
        await Cluster.StartAsync(Deadline());
        await WholeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        // Evidence of a failed run: what each agent said goes away with the lab.
        if (Environment.GetEnvironmentVariable("EVENKEEL_LAB_LOGS") is { Length: > 0 } keep)
            foreach (var node in Cluster.Nodes.Keys)
                foreach (var log in new[] { "agent.log", "guard.log" })
                    if (File.Exists(Path.Combine(LocalPaths.Node(name, node.Value), log)))
                        File.Copy(Path.Combine(LocalPaths.Node(name, node.Value), log), Path.Combine(keep, $"{node}-{log}"), overwrite: true);
        await Cluster.DisposeAsync();
        stalls.Dispose();
    }

    private readonly StallWatch stalls = new();

    /// <summary>
    /// Tells a scenario's failure from the machine's: one during which the machine itself stood still for longer than a
    /// detection takes less two beats is played again, at most twice.
    /// </summary>
    internal async Task PlayAsync(Func<Task> scenario)
    {
        for (var again = 2; ; again--)
        {
            await RestoreAsync();
            stalls.Reset();
            try
            {
                await scenario();
                return;
            }
            catch (Xunit.Sdk.XunitException) when (again > 0 && stalls.Longest > TimeSpan.FromMilliseconds(60))
            {
                TestContext.Current.SendDiagnosticMessage("the machine stood still for {0:F0} ms; played again", stalls.Longest.TotalMilliseconds);
            }
        }
    }

    internal Observer Observe(int connectMilliseconds = 200) => new(Cluster.Network.Namespace("client"), Vip, connectMilliseconds);

    /// <summary>Everything lives, votes, serves. What is not after 90 seconds is said in the failure.</summary>
    internal async Task WholeAsync()
    {
        try
        {
            await Cluster.WaitUntilWholeAsync(Deadline());
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            var status = await Cluster.StatusAsync(CancellationToken.None);
            throw new InvalidOperationException("the cluster did not become whole again: " + (status is null ? "no agent answers" : string.Join("; ",
                status.Nodes.Select(node => $"{node.Name} {node.Reach} ready={node.Ready} {node.Mode}")
                    .Concat(status.Services.SelectMany(service => service.Instances.Select(instance => $"{service.Name}@{instance.Node} {instance.Status} {instance.Health} {instance.Detail}")))
                    .Concat(status.Vips.Select(vip => $"{vip.Name} held={vip.Held}")))));
        }
    }

    internal async Task<NodeName> OwnerAsync() => await Cluster.FrontDoorOwnerAsync(Deadline()) ?? throw new InvalidOperationException("nobody holds the front door");

    /// <summary>Null while there is none.</summary>
    internal async Task<NodeName?> ControllerAsync() => (await Cluster.StatusAsync(Deadline()))?.Controller?.Node;

    /// <summary>Undoes whatever a failed test left behind, then waits until all is well.</summary>
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

    /// <summary>Waits until another node than <paramref name="former"/> holds the front door.</summary>
    internal async Task<NodeName> NextOwnerAsync(NodeName former)
    {
        for (var deadline = Deadline(); ; await Task.Delay(50, deadline))
            if (await Cluster.FrontDoorOwnerAsync(deadline) is { } owner && owner != former) return owner;
    }

    internal NodeName Other(params NodeName[] than) => Cluster.Spec.Nodes.Keys.First(node => !than.Contains(node));

    /// <summary>The hardware address with which a node answers for the virtual IP.</summary>
    internal async Task<string> HardwareOf(NodeName node) =>
        (await SystemCommand.RunAsync(["ip", "netns", "exec", Cluster.Network.Namespace(node.Value), "cat", "/sys/class/net/pub0/address"], Deadline())).Trim();

    /// <summary>One process's id, found by what its name ends with, in a node's namespace.</summary>
    internal async Task<int> ProcessIn(NodeName node, string nameEnds)
    {
        foreach (var id in await LabNetwork.ProcessesIn(Cluster.Network.Namespace(node.Value)))
        {
            var command = (await File.ReadAllTextAsync($"/proc/{id}/cmdline", Deadline())).Split('\0')[0];
            if (command.EndsWith(nameEnds, StringComparison.Ordinal)) return id;
        }

        throw new InvalidOperationException($"no process {nameEnds} in {node}");
    }
}

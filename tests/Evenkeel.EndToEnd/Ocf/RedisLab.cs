using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>Three nodes in network namespaces, a warm Redis on them by its stock agent behind a real virtual IP, a client.</summary>
public sealed class RedisLab() : NamespaceLab("r")
{
    private const string Vip = "203.0.113.10";
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-redis-").FullName;

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
        vips: { front: {{Vip}} }
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13] }
        services:
          cache:
            ocf:
              agent: heartbeat:redis
              parameters: { config: "{{directory}}/{node}/redis.conf", rundir: "{{directory}}/{node}/run", port: "6399", user: root }
              nodes_by: address
              monitor: 500ms
            port: 6399
            redundancy: warm
            publish: [{ vip: front, port: 6379, protocol: tcp, to: primary }]
        """;

    protected override string WorkingDirectory => directory;
    protected override string KeptService => "cache";

    public override async ValueTask InitializeAsync()
    {
        foreach (var (node, address) in (ReadOnlySpan<(string, string)>)[("n1", "10.77.0.11"), ("n2", "10.77.0.12"), ("n3", "10.77.0.13")])
        {
            var own = Directory.CreateDirectory(Path.Combine(directory, node)).FullName;
            File.WriteAllText(Path.Combine(own, "redis.conf"),
                $"bind {address}\nport 6399\ndir {own}\nprotected-mode no\nsave \"\"\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n");
        }

        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>What a client is answered through the virtual IP; the error where there is none.</summary>
    internal async Task<string> AskAsync(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo("ip",
            ["netns", "exec", Cluster.Network.Namespace("client"), "timeout", "2", "redis-cli", "-h", Vip, .. command])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var (answer, error) = (process.StandardOutput.ReadToEndAsync(Deadline()), process.StandardError.ReadToEndAsync(Deadline()));
        await process.WaitForExitAsync(Deadline());
        return (await answer + await error).Trim();
    }

    /// <summary>Asks until the answer is so.</summary>
    internal async Task UntilAsync(Func<string, bool> wanted, params string[] command)
    {
        var answer = "";
        await InTimeAsync(async deadline =>
        {
            while (!wanted(answer = await AskAsync(command))) await Task.Delay(20, deadline);
        }, async () => $"'{string.Join(' ', command)}' is still answered with: {answer}; {await DescribeAsync()}");
    }

    internal async Task<NodeName?> PrimaryAsync() =>
        (await Cluster.StatusAsync(Deadline()))?.Services.Single().Instances.Where(one => one is { Active: true, Health: Health.Healthy }).Select(one => (NodeName?)one.Node).FirstOrDefault();

    internal async Task<NodeName> NextPrimaryAsync(NodeName former)
    {
        for (var deadline = Deadline(); ; await Task.Delay(20, deadline))
            if (await PrimaryAsync() is { } primary && primary != former) return primary;
    }

    internal async Task<NodeName> StandbyAsync()
    {
        for (var deadline = Deadline(); ; await Task.Delay(20, deadline))
            if ((await Cluster.StatusAsync(deadline))?.Services.Single().Instances.FirstOrDefault(one => one is { Active: false, Status: InstanceStatus.Running }) is { } standby) return standby.Node;
    }

    /// <summary>One acts, and another follows it.</summary>
    protected override async Task UntilWholeAsync(CancellationToken deadline)
    {
        await base.UntilWholeAsync(deadline);
        await UntilAsync(answer => answer.Contains("connected_slaves:1", StringComparison.Ordinal) && answer.Contains("state=online", StringComparison.Ordinal), "info", "replication");
    }
}

using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>One lab for the classes that need a hot database: each leaves it whole.</summary>
[CollectionDefinition(Name)]
public sealed class HotDatabaseCollection : ICollectionFixture<HotDatabaseLab>
{
    public const string Name = "hot database";
}

/// <summary>A hot PostgreSQL on three nodes.</summary>
public class HotDatabaseLab() : DatabaseLab("d", "redundancy: hot")
{
    /// <summary>Each acknowledged write is on two nodes at least.</summary>
    protected override bool IsSafe(ServiceReport service) => service.Data is { InSync.Count: >= 2 };
}

/// <summary>Many faults in a row take minutes, in which the clients' own account grows.</summary>
public sealed class RoomyDatabaseLab : HotDatabaseLab
{
    protected override int DiskMebibytes => 2048;
}

/// <summary>A hot one whose commits wait for any one of its two standbys.</summary>
public sealed class QuorumDatabaseLab() : DatabaseLab("q", "redundancy: hot", "quorum: true")
{
    protected override bool IsSafe(ServiceReport service) => service.Data is { InSync.Count: 3, Any: 1 };
}

/// <summary>A hot one that would rather not write than write to one node alone.</summary>
public sealed class StrictDatabaseLab() : DatabaseLab("s", "redundancy: hot", "strict: true")
{
    protected override bool IsSafe(ServiceReport service) => service.Data is { InSync.Count: >= 2 };
}

/// <summary>A warm one none of whose standbys takes over when it lacks more than a mebibyte.</summary>
public sealed class LimitedDatabaseLab() : DatabaseLab("m", "redundancy: warm", "max_lag: 1MiB")
{
    protected override bool IsSafe(ServiceReport service) => service.Instances.Count(instance => instance is { Active: false, LagBytes: < 64 << 10 }) == 2;
}

/// <summary>A warm one: its standbys may lack what its clients were told is there.</summary>
public sealed class WarmDatabaseLab() : DatabaseLab("w", "redundancy: warm")
{
    protected override bool IsSafe(ServiceReport service) => service.Instances.Count(instance => instance is { Active: false, LagBytes: not null }) == 2;
}

/// <summary>
/// Three nodes in network namespaces, a PostgreSQL on them behind a real virtual IP, a client. Each node's data is on a small
/// disk of its own.
/// </summary>
public abstract class DatabaseLab(string prefix, string redundancy, string more = "strict: false") : NamespaceLab(prefix)
{
    public const int RolePort = 8008;
    private const int LooksAnAsking = 40;
    public const string Vip = "203.0.113.10";
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-db-").FullName;
    private readonly List<SmallDisk> disks = [];

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
          db:
            postgresql:
              data: {{directory}}/{node}/db
              pg_hba: ["host all all 10.77.0.0/24 trust"]
              parameters: { wal_keep_size: 32MB, max_wal_size: 64MB, min_wal_size: 32MB }
              on_change: [echo, CHANGED]
              {{more}}
            {{redundancy}}
            publish:
              - { vip: front, port: 5432, protocol: tcp, to: primary }
              - { vip: front, port: 5433, protocol: tcp, to: standbys }
            objectives: { rto: 5s, rpo: {{(redundancy.EndsWith("hot", StringComparison.Ordinal) ? "0s" : "1s")}} }
        """;

    protected virtual int DiskMebibytes => 400;

    protected override string WorkingDirectory => directory;
    protected override string KeptService => "db";
    protected override int? RolesPort => RolePort;

    /// <summary>The cluster's file with other parameters, where a command can read it.</summary>
    internal async Task<string> FileWithAsync(string parameters)
    {
        var path = Path.Combine(directory, "changed.yaml");
        await File.WriteAllTextAsync(path, FileText.Replace("wal_keep_size: 32MB,", $"wal_keep_size: 32MB, {parameters},", StringComparison.Ordinal), Deadline());
        return path;
    }

    /// <summary>A command of the program, asked on this lab's cluster; its exit code and what it says.</summary>
    internal async Task<(int Code, string Output)> CommandAsync(params string[] words)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(Checkout.Program, [.. words, "--cluster", Name]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (said, complained) = (process.StandardOutput.ReadToEndAsync(Deadline()), process.StandardError.ReadToEndAsync(Deadline()));
        await process.WaitForExitAsync(Deadline());
        return (process.ExitCode, await said + await complained);
    }

    /// <summary>The status of the answer to a client that asks a node whether it has the role; 0 when there is none.</summary>
    internal async Task<int> RoleAsync(NodeName node, string role)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("ip", ["netns", "exec", Cluster.Network.Namespace("client"),
            "curl", "-s", "-o", "/dev/null", "-m", "1", "-w", "%{http_code}", $"http://{Cluster.Spec.Nodes[node].Public}:{RolePort}/v1/services/db/{role}"]) { RedirectStandardOutput = true })!;
        var said = await process.StandardOutput.ReadToEndAsync(Deadline());
        await process.WaitForExitAsync(Deadline());
        return int.Parse(said, System.Globalization.CultureInfo.InvariantCulture);
    }

    internal string ServiceLogOf(NodeName node) => File.ReadAllText(Path.Combine(LocalPaths.Node(Name, node.Value), "logs", "db.log"));

    public override async ValueTask InitializeAsync()
    {
        // PostgreSQL runs as a user of its own, and must reach its data.
        foreach (var path in new[] { "", "n1", "n2", "n3" }.Select(node => Path.Combine(directory, node)))
            File.SetUnixFileMode(Directory.CreateDirectory(path).FullName, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute);
        foreach (var node in new[] { "n1", "n2", "n3" }) disks.Add(await SmallDisk.MountAsync(Path.Combine(directory, node), DiskMebibytes, Deadline()));
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        foreach (var disk in disks) await disk.DisposeAsync();
        Directory.Delete(directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    internal SmallDisk DiskOf(NodeName node) => disks.Single(disk => Path.GetFileName(disk.Path) == node.Value);

    /// <summary>What a client gets from the primary; empty when there is none, or it does not answer within the time.</summary>
    internal async Task<string> AskAsync(string question, int seconds = 20)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("ip", ["netns", "exec", Cluster.Network.Namespace("client"),
            "timeout", $"{seconds}", "psql", $"host={Vip} user=postgres dbname=postgres connect_timeout=2", "-Atqc", question]) { RedirectStandardOutput = true })!;
        var said = await process.StandardOutput.ReadToEndAsync(Deadline());
        await process.WaitForExitAsync(Deadline());
        return process.ExitCode == 0 ? said.Trim() : "";
    }

    internal Task<LedgerClient> WriteAsync() => LedgerClient.StartAsync(Cluster.Network.Namespace("client"), Vip, 5432, Deadline());

    /// <summary>Tries to write to every node from now on.</summary>
    internal PrimaryObserver Observe() => new(Cluster.Nodes.Keys.Select(node => (node, Path.Combine(directory, node.Value, "db.run"))));

    /// <summary>A machine that stood still explains a long outage and a takeover that was not called for; it explains no lost write and no second primary.</summary>
    internal Task PlayAsync(Func<Task> scenario) => PlayAsync(scenario, failure => failure is Xunit.Sdk.InRangeException or Xunit.Sdk.EqualException);

    internal async Task<ServiceReport> ServiceAsync() => (await Cluster.StatusAsync(Deadline()))?.Services.SingleOrDefault()
        ?? throw new InvalidOperationException("no agent answers");

    /// <summary>The node that acts; null while none does.</summary>
    internal async Task<NodeName?> PrimaryAsync() =>
        (await Cluster.StatusAsync(Deadline()))?.Services.Single().Instances.Where(instance => instance is { Active: true, Health: Health.Healthy }).Select(instance => (NodeName?)instance.Node).FirstOrDefault();

    internal Task<NodeName> NextPrimaryAsync(NodeName former) => NextPrimaryAsync(former, () => Task.CompletedTask);

    /// <summary>A planned switchover. A node that lags for a moment is refused, and asked for again.</summary>
    internal Task<NodeName> SwitchOverAsync(NodeName from, NodeName to) =>
        NextPrimaryAsync(from, async () => Assert.Null(await Cluster.MoveAsync(ResourceId.Service("db"), to, Deadline())));

    private async Task<NodeName> NextPrimaryAsync(NodeName former, Func<Task> ask)
    {
        NodeName? next = null;
        await InTimeAsync(async deadline =>
        {
            for (var looks = 0; (next = await PrimaryAsync()) is not { } primary || primary == former; looks++)
            {
                if (looks % LooksAnAsking == 0 && next is not null) await ask();
                await Task.Delay(50, deadline);
            }
        }, async () => $"nobody took over from {former}: {await DescribeAsync()}");
        return next!.Value;
    }

    /// <summary>Nothing more is to be copied.</summary>
    protected abstract bool IsSafe(ServiceReport service);

    protected override async Task UntilWholeAsync(CancellationToken deadline)
    {
        await base.UntilWholeAsync(deadline);
        while (!IsSafe(await ServiceAsync()) || await PrimaryAsync() is null) await Task.Delay(50, deadline);
    }

    protected override async Task UndoAsync()
    {
        foreach (var disk in disks) disk.Free();
        await base.UndoAsync();
    }
}

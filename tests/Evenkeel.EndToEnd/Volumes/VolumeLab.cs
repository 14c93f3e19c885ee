using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.EndToEnd.Volumes;

/// <summary>What clients found: how many lines were answered, which of them are missing, the longest time between two answers.</summary>
internal sealed record LedgerAccount(
    [property: JsonPropertyName("answered")] int Answered, [property: JsonPropertyName("lost")] IReadOnlyList<string> Lost, [property: JsonPropertyName("longest")] double LongestSeconds)
{
    public TimeSpan Longest => TimeSpan.FromSeconds(LongestSeconds);
}

/// <summary>
/// Two nodes with a leg each and a witness in network namespaces, a volume over the legs, a service on it behind a virtual IP whose
/// every answer is an fsync, and clients with an account of their own.
/// </summary>
public class VolumeLab() : NamespaceLab("v")
{
    public const string Vip = "203.0.113.10";
    public const int Port = 7000;
    public static readonly TimeSpan LegTimeout = TimeSpan.FromSeconds(1);
    /// <summary>More keys of the volume, each after a comma.</summary>
    protected virtual string MoreKeys => "";
    protected virtual string Objectives => "rpo: 0s";
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-vol-").FullName;

    private static string Script(string name) => Path.Combine(AppContext.BaseDirectory, "Volumes", name);

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
        vips: { front: {{Vip}} }
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12] }
          n3: { private: [10.77.0.13], role: witness }
        services:
          ledger:
            process: { command: [python3, {{Script("ledger-service.py")}}, {{directory}}/mnt/ledger, "{private}", "{{Port}}"] }
            port: {{Port}}
            redundancy: cold
            health: { tcp: true }
            mounts: ["files:{{directory}}/mnt"]
            publish: [{ vip: front, port: {{Port}}, protocol: tcp, to: primary }]
            objectives: { {{Objectives}} }
        volumes:
          files: { raid: 1, size: 64MiB, members: ["n1:{{directory}}/n1/leg.img", "n2:{{directory}}/n2/leg.img"], leg_timeout: {{LegTimeout.TotalMilliseconds.ToString(CultureInfo.InvariantCulture)}}ms{{MoreKeys}} }
        """;

    protected override string WorkingDirectory => directory;
    protected override string KeptService => "volume-files";

    /// <summary>Somebody's shell in the volume's mount, as the writer's node sees it.</summary>
    internal async Task<Process> StandInMountAsync(NodeName node)
    {
        var writer = (await ProcessesAsync(node, "write")).Single();
        return Process.Start("nsenter", ["--mount", "--target", writer.ToString(CultureInfo.InvariantCulture), "sh", "-c", $"cd {directory}/mnt && exec sleep 300"])!;
    }

    /// <summary>A file beside the service's, of random content and on stable storage when this ends.</summary>
    internal async Task WriteBulkAsync(NodeName node, int mebibytes)
    {
        var writer = (await ProcessesAsync(node, "write")).Single();
        await Raid.Tool.RunAsync("nsenter", "--mount", "--target", writer.ToString(CultureInfo.InvariantCulture), "dd", "if=/dev/urandom", $"of={directory}/mnt/bulk", "bs=1M", $"count={mebibytes}", "conv=fsync");
    }

    /// <summary>Whether two legs hold the same data: what is in their files behind the metadata.</summary>
    internal async Task<bool> AreEqualAsync(NodeName one, NodeName other)
    {
        // md's superblock 1.2, at 4 KiB: the data's offset in sectors is at byte 128. The files are locked by those who serve them.
        async Task<string> LegAsync(NodeName node) => (await Raid.Tool.RunAsync("od", "-An", "-t", "d8", "-j", "4224", "-N", "8", PathOf(node))).Trim();
        string PathOf(NodeName node) => Path.Combine(directory, node.Value, "leg.img");
        long At(string sectors) => long.Parse(sectors, CultureInfo.InvariantCulture) * 512;
        var places = $"{At(await LegAsync(one))}:{At(await LegAsync(other))}";
        return (await Raid.Tool.TryAsync("cmp", "-s", "-i", places, "-n", $"{64 << 20}", PathOf(one), PathOf(other))).Code == 0;
    }

    public override async ValueTask InitializeAsync()
    {
        foreach (var node in new[] { "n1", "n2" }) Directory.CreateDirectory(Path.Combine(directory, node));
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        // A killed writer's mount stays, and is in the directory's way.
        foreach (var point in (await File.ReadAllLinesAsync("/proc/self/mountinfo")).Select(line => line.Split(' ')[4]).Where(point => point.StartsWith(directory, StringComparison.Ordinal)))
            await Raid.Tool.RunAsync("umount", ["-l", point]);
        Directory.Delete(directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    internal async Task<VolumeReport> VolumeAsync() => (await Cluster.StatusAsync(Deadline()))?.Volumes.SingleOrDefault() ?? throw new InvalidOperationException("no agent answers");

    /// <summary>The node that has mounted the volume; null while none has.</summary>
    internal async Task<NodeName?> WriterAsync() => (await Cluster.StatusAsync(Deadline()))?.Volumes.Single() is { Mounted: true, Writer: { } writer } ? writer.Node : null;

    /// <summary>The node where the service answers; null while none does.</summary>
    internal async Task<NodeName?> ServingAsync() => (await Cluster.StatusAsync(Deadline()))?.Services.Single().Instances
        .Where(instance => instance is { Active: true, Health: Health.Healthy }).Select(instance => (NodeName?)instance.Node).FirstOrDefault();

    internal async Task<NodeName> NextServingAsync(NodeName former)
    {
        for (var deadline = Deadline(); ; await Task.Delay(50, deadline))
            if (await ServingAsync() is { } node && node != former) return node;
    }

    internal async Task UntilAsync(Func<VolumeReport, bool> holds)
    {
        for (var deadline = Deadline(); !holds(await VolumeAsync());) await Task.Delay(50, deadline);
    }

    /// <summary>The node's processes of a kind (<c>serve-leg</c>, <c>write</c>).</summary>
    internal async Task<IReadOnlyList<int>> ProcessesAsync(NodeName node, string kind) =>
        [.. (await RunningPrograms.InAsync(Cluster.Network.Namespace(node.Value))).Where(one => one.Words is [_, "volume", var command, ..] && command == kind).Select(one => one.Id)];

    /// <summary>The most memory that the process has held, in MiB.</summary>
    internal static long PeakOf(int process) => File.ReadAllLines($"/proc/{process}/status").Where(line => line.StartsWith("VmHWM:", StringComparison.Ordinal))
        .Select(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024).Single();

    internal async Task<VolumeClients> WriteAsync(int clients = 4) =>
        await VolumeClients.StartAsync(Cluster.Network.Namespace("client"), Script("ledger-client.py"), clients, Deadline());

    protected override async Task UntilWholeAsync(CancellationToken deadline)
    {
        await base.UntilWholeAsync(deadline);
        while (await VolumeAsync() is var volume && !(volume.Mounted && volume.Legs.All(leg => leg.State is LegState.InSync or LegState.Following))) await Task.Delay(50, deadline);
    }
}

/// <summary>Clients of the service: a process in the clients' namespace.</summary>
internal sealed class VolumeClients : IDisposable
{
    private readonly Process process;

    private VolumeClients(Process process) => this.process = process;

    public static async Task<VolumeClients> StartAsync(string clientNamespace, string script, int clients, CancellationToken cancellation)
    {
        var process = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", clientNamespace, "python3", script, VolumeLab.Vip, $"{VolumeLab.Port}", $"{clients}"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true,
        })!;
        if (await process.StandardOutput.ReadLineAsync(cancellation) is var said && said != "writing") throw new InvalidOperationException($"the clients said: {said}");
        return new VolumeClients(process);
    }

    /// <summary>Returns once so many more lines have been answered than when it was called.</summary>
    public async Task UntilAnsweredAsync(int more, CancellationToken cancellation)
    {
        for (var begun = await AnsweredAsync(cancellation); await AnsweredAsync(cancellation) < begun + more; await Task.Delay(20, cancellation)) { }
    }

    private async Task<int> AnsweredAsync(CancellationToken cancellation)
    {
        await process.StandardInput.WriteLineAsync(ReadOnlyMemory<char>.Empty, cancellation);
        await process.StandardInput.FlushAsync(cancellation);
        return int.Parse(await process.StandardOutput.ReadLineAsync(cancellation) ?? throw new InvalidOperationException("the clients are gone"), CultureInfo.InvariantCulture);
    }

    /// <summary>They stop writing and read everything back.</summary>
    public async Task<LedgerAccount> EndAsync(CancellationToken cancellation)
    {
        process.StandardInput.Close();
        var said = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return JsonSerializer.Deserialize<LedgerAccount>(said) ?? throw new InvalidOperationException($"the clients said: {said}");
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill(entireProcessTree: true);
        process.Dispose();
    }
}

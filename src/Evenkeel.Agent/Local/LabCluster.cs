using System.Diagnostics;
using System.Globalization;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Volumes;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Local;

/// <summary>
/// A cluster in network namespaces (root): every node its own, with the public and the private network really apart, real
/// VIPs, and a managed etcd on the voting nodes. Here faults are real ones: cuts, silent cuts, dead nodes.
/// </summary>
public sealed class LabCluster(ClusterSpec spec, string source, string workingDirectory) : MachineCluster(SpecOf(spec, workingDirectory), source, workingDirectory)
{
    private static readonly TimeSpan KillPause = TimeSpan.FromMilliseconds(20);
    private const int MostKillRounds = 100;
    private static readonly TimeSpan DownPatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan DownPeriod = TimeSpan.FromMilliseconds(50);
    private readonly LabNetwork _network = new(spec);
    private readonly string _workingDirectory = workingDirectory;

    public LabNetwork Network => _network;

    protected override StoreKind StoreKind => StoreKind.Etcd;
    protected override IReadOnlyList<string> StoreEndpoints => [.. Members().Values.Select(address => $"{address}:{PrivatePorts.EtcdClient}")];
    protected override string? PublicInterface => LabNetwork.PublicInterface;

    /// <summary>The lab's file, as <c>lab cut</c> and its like find it from another terminal.</summary>
    public static string FileOf(string cluster) => Path.Combine(LocalPaths.Cluster(cluster), "lab.yaml");

    private static string ProcessFileOf(string cluster) => Path.Combine(LocalPaths.Cluster(cluster), "lab.pid");

    /// <summary>From another terminal: asks the lab to end and waits until it has, or clears away what is left of one that was killed.</summary>
    /// <exception cref="LocalClusterException">It does not end.</exception>
    public static async Task EndAsync(ClusterSpec spec)
    {
        if (RunnerOf(spec.Cluster) is { } runner)
        {
            Signals.Send(runner, Signals.Terminate);
            for (var clock = Stopwatch.StartNew(); RunsALab(runner); await Task.Delay(DownPeriod).ConfigureAwait(false))
            {
                if (clock.Elapsed > DownPatience)
                {
                    throw new LocalClusterException($"the lab '{spec.Cluster}' (process {runner}) has not ended within {DownPatience.TotalSeconds:0} s; kill it, then try again");
                }
            }
        }

        await new LabNetwork(spec).DownAsync().ConfigureAwait(false);
        if (System.IO.Directory.Exists(LocalPaths.Cluster(spec.Cluster)))
        {
            await VolumeMount.CleanUnderAsync(LocalPaths.Cluster(spec.Cluster)).ConfigureAwait(false);
            System.IO.Directory.Delete(LocalPaths.Cluster(spec.Cluster), recursive: true);
        }
    }

    /// <summary>The process that runs the lab of this name; null when it lives no more.</summary>
    private static int? RunnerOf(string cluster) =>
        File.Exists(ProcessFileOf(cluster)) && int.TryParse(File.ReadAllText(ProcessFileOf(cluster)), CultureInfo.InvariantCulture, out var id) && RunsALab(id) ? id : null;

    // Another process may have the number meanwhile.
    private static bool RunsALab(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/cmdline").Split('\0').Contains("lab");
        }
        catch (IOException)
        {
            return false;
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(false);
        await _network.DownAsync().ConfigureAwait(false);
    }

    /// <summary>As a power failure: everything in the node's namespace is gone at once.</summary>
    public override void Kill(NodeName node)
    {
        base.Kill(node);
        // Again until there is nothing: what is killed takes a moment to be gone.
        for (var round = 0; round < MostKillRounds && LabNetwork.ProcessesIn(_network.Namespace(node.Value)).GetAwaiter().GetResult() is { Count: > 0 } found; round++)
        {
            foreach (var process in found)
            {
                Signals.Send(process, Signals.Kill);
            }

            Thread.Sleep(KillPause);
        }
    }

    // Not `ip netns exec`: that mounts /sys anew, without the control groups in which guards run services.
    protected override IReadOnlyList<string> CommandPrefix(NodeName node) => ["nsenter", $"--net=/run/netns/{_network.Namespace(node.Value)}", .. WrapperOf(node)];

    /// <summary>A command to run a node's agent under (a wall clock that is off, say); none by default.</summary>
    public Func<NodeName, IReadOnlyList<string>> WrapperOf { get; init; } = _ => [];

    /// <summary>Each node answers for its roles at this port of its public address; null: it does not.</summary>
    public int? RolesPort { get; init; }

    protected override async Task PrepareAsync(CancellationToken cancellation)
    {
        await File.WriteAllTextAsync(FileOf(Spec.Cluster), Source, cancellation).ConfigureAwait(false);
        await File.WriteAllTextAsync(ProcessFileOf(Spec.Cluster), Environment.ProcessId.ToString(CultureInfo.InvariantCulture), cancellation).ConfigureAwait(false);
        ClusterInitialState.IssueCertificates(Spec, node => Path.Combine(Directory, node.Value, "tls"));
        await _network.UpAsync(cancellation).ConfigureAwait(false);
    }

    protected override AgentConfiguration Configure(NodeSpec node, string directory) => base.Configure(node, directory) with
    {
        StoreMembers = Members(),
        FirstFile = FileOf(Spec.Cluster),
        Roles = RolesPort is { } port && node.Public is { } address ? new System.Net.IPEndPoint(address, port).ToString() : null,
        WorkingDirectory = _workingDirectory,
        // A node asks its own member first.
        StoreEndpoints = [.. StoreEndpoints.OrderBy(endpoint => endpoint.StartsWith(node.Private[0] + ":", StringComparison.Ordinal) ? 0 : 1)],
    };

    private Dictionary<string, string> Members() => Spec.Nodes.Values.Where(node => node.Votes)
        .ToDictionary(node => node.Name.Value, node => node.Private[0].ToString());

    private static ClusterSpec SpecOf(ClusterSpec spec, string workingDirectory) => Configuration.SpecLocation.In(spec, workingDirectory);
}

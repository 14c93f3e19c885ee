using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Agent.Setup;
using Evenkeel.Cli.Control;

namespace Evenkeel.Cli.Commands.Bundle;

/// <summary><c>bundle</c>: everything that helps to understand a cluster from afar, in one file without secrets.</summary>
internal static class BundleCommand
{
    public static Command Create()
    {
        var file = new Option<string?>("--file", "-o") { Description = "Where to write it. Default: evenkeel-CLUSTER-TIME.tar.gz here. A file that is there is not replaced.", HelpName = "FILE.tar.gz" };
        var configuration = new Option<string?>("--configuration")
        {
            Description = $"This node's agent.json. Default: {NodeSetup.DefaultStateDirectory}/{NodeSetup.ConfigurationFile}, else that of the cluster that runs here.", HelpName = "FILE",
        };
        var local = new Option<bool>("--local") { Description = "This node alone; the others are not asked." };
        var cluster = Options.Cluster();
        var command = new DescribedCommand("bundle", "Collects diagnostics of all nodes that can be reached in one file, without secrets.", """
            Holds status, events, logs, configuration, versions, the coordination store's state, and the system's view (addresses,
            routes, packet filter, cgroups, mounts, disks) of this node and, by its agent, of the others. Works without an agent.
            Private keys, tokens and passwords are cut out on the node that has them; still, look before you send it away.
            What could not be read is listed here and in the bundle (NODE/missing.txt); the exit code is 0 all the same.
            Run it as root: others cannot read the state directory.
            """)
        { file, configuration, local, cluster };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = await TryFindAsync(parsed.GetValue(cluster), cancellation);
            var own = Load(parsed.GetValue(configuration), client);
            var at = DateTimeOffset.UtcNow;
            var path = Path.GetFullPath(parsed.GetValue(file) ?? string.Create(CultureInfo.InvariantCulture, $"evenkeel-{own.Cluster}-{at:yyyyMMddTHHmmssZ}.tar.gz"));
            var bundle = new BundleFile(own, client?.Hello.Cluster == own.Cluster ? client : null, at);
            var missing = await BundleProgress.ShowAsync(progress => bundle.WriteAsync(path, parsed.GetValue(local), progress, cancellation));
            var output = parsed.InvocationConfiguration.Output;
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path}: {new FileInfo(path).Length / 1024.0:F0} KiB, nodes: {string.Join(", ", bundle.Nodes)}"));
            if (missing.Count > 0)
                output.WriteLine($"could not be read ({missing.Count}):");
            foreach (var what in missing)
                output.WriteLine("  " + what);
            return ExitCode.Success;
        });
        return command;
    }

    // Without an agent the node's own files are what there is.
    private static async Task<ControlClient?> TryFindAsync(string? wanted, CancellationToken cancellation)
    {
        try
        {
            return await ClusterFinder.FindAsync(wanted, ControlSockets.Directories, cancellation);
        }
        catch (CommandFailedException exception) when (wanted is null && exception.ExitCode == ExitCode.Failed)
        {
            return null;
        }
    }

    private static AgentConfiguration Load(string? given, ControlClient? client)
    {
        var standard = Path.Combine(NodeSetup.DefaultStateDirectory, NodeSetup.ConfigurationFile);
        var file = given ?? (client is null ? standard : Beside(client) ?? standard);
        try
        {
            return AgentConfiguration.Load(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CommandFailedException(ExitCode.Failed, $"{file} cannot be read: {exception.Message}",
                "Is this server a node, and are you root? Another place: --configuration FILE");
        }
    }

    /// <summary>Nodes of <c>up</c>, <c>demo</c> and <c>lab</c> have their state beside their sockets.</summary>
    private static string? Beside(ControlClient client)
    {
        var file = Path.Combine(LocalPaths.Node(client.Hello.Cluster, client.Hello.Node.Value), NodeSetup.ConfigurationFile);
        return File.Exists(file) ? file : null;
    }
}

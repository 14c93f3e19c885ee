using System.CommandLine;
using System.Net.NetworkInformation;
using System.Text.Json;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Preflight;
using Evenkeel.Agent.Setup;
using Evenkeel.Cli.Control;
using Evenkeel.Cli.Views;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>preflight</c>: will this server do as a node; and, without a file, are all nodes of the running cluster as they should be.</summary>
internal static class PreflightCommand
{
    public static Command Create()
    {
        var file = new Argument<string?>("FILE") { Description = "The cluster's file, on a server that is to be one of its nodes. Without it: all nodes of the running cluster.", Arity = ArgumentArity.ZeroOrOne };
        var node = new Option<string?>("--node") { Description = "Which node of the file this server is to be. Default: the one whose private addresses it has.", HelpName = "NAME" };
        var state = new Option<string>("--state") { Description = "Where the node's state is to be: the disk that is measured.", HelpName = "DIRECTORY", DefaultValueFactory = _ => NodeSetup.DefaultStateDirectory };
        var accept = new Option<string[]>("--accept") { Description = "A check that may fail, by its name; may be repeated.", HelpName = "CHECK", Arity = ArgumentArity.ZeroOrMore };
        var strict = new Option<bool>("--strict") { Description = "Warnings count as failures." };
        var cluster = Options.Cluster();
        var output = Options.Output();
        var command = new DescribedCommand("preflight", "Checks servers before they become nodes, or all nodes of the running cluster.", """
            Networks really apart, addresses in use by others, reachability, ports, kernel features, clocks, the disk's
            time for a durable write, etcd, fence devices, certificates, programs. Nothing is changed. What each check
            means and how to mend it: docs/operations/preflight.md. Run it as root, on the server itself.
            Exit code 0 when nothing failed (warnings allowed, but with --strict), 1 when something did, 3 for errors in the file.
            """)
        { file, node, state, accept, strict, cluster, output };
        command.SetAction(async (parsed, cancellation) =>
        {
            var console = parsed.InvocationConfiguration;
            var json = parsed.GetValue(output) == OutputFormat.Json;
            var report = (parsed.GetValue(file) is { } path
                ? await OfServerAsync(path, parsed.GetValue(node), parsed.GetValue(state)!, json ? null : console.Error, cancellation)
                : await OfClusterAsync(parsed.GetValue(cluster), json ? null : console.Error, cancellation)).Accepting(parsed.GetValue(accept) ?? []);
            if (json)
                console.Output.WriteLine(JsonSerializer.Serialize(report, ClientJson.Default.PreflightReport));
            else
                Terminal.For(console.Output).Write(PreflightView.Of(report));
            return report.Verdict >= (parsed.GetValue(strict) ? PreflightVerdict.Warning : PreflightVerdict.Failed) ? ExitCode.Failed : ExitCode.Success;
        });
        return command;
    }

    private static async Task<PreflightReport> OfClusterAsync(string? wanted, TextWriter? progress, CancellationToken cancellation)
    {
        using var client = await ClusterFinder.FindAsync(wanted, ControlSockets.Directories, cancellation);
        progress?.WriteLine("Looking at every node; this takes some seconds for each.");
        return await client.PreflightAsync(cancellation);
    }

    private static async Task<PreflightReport> OfServerAsync(string file, string? name, string state, TextWriter? progress, CancellationToken cancellation)
    {
        var (spec, _, directory) = LocalFile.Read(file);
        var here = NetworkInterface.GetAllNetworkInterfaces().SelectMany(one => one.GetIPProperties().UnicastAddresses).Select(one => one.Address).ToHashSet();
        var node = name is not null ? new NodeName(name) : PreflightSubject.Guess(spec, here)
            ?? throw new CommandFailedException(ExitCode.Usage, "this server has the private addresses of no node of the file, or of several", $"Say which it is to be: --node {string.Join("|", spec.Nodes.Keys.Order())}");
        if (!spec.Nodes.ContainsKey(node))
            throw new CommandFailedException(ExitCode.Usage, $"the file has no node '{node}'", $"It has: {string.Join(", ", spec.Nodes.Keys.Order())}");
        return await NodePreflight.RunAsync(new PreflightSubject { Spec = SpecLocation.In(spec, directory), Node = node, StateDirectory = state },
            check => progress?.WriteLine($"  {check} …"), cancellation);
    }
}

using System.CommandLine;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Local;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>evenkeel init</c>: makes this server a node of a new cluster.</summary>
internal static class InitCommand
{
    public static Command Create()
    {
        var file = new Argument<string?>("FILE") { Description = "the cluster's file (on the first server)", Arity = ArgumentArity.ZeroOrOne };
        var node = new Option<string?>("--node") { Description = "which node of the file this server is", HelpName = "NODE" };
        var bundle = new Option<string?>("--bundle") { Description = "on the other servers: the bundle that the first one wrote for it", HelpName = "FILE" };
        var state = new Option<string>("--state") { Description = "state directory", HelpName = "DIRECTORY", DefaultValueFactory = _ => NodeSetup.DefaultStateDirectory };
        var link = new Option<string?>("--public-interface") { Description = "the interface for virtual IPs; by default the one with the node's public address", HelpName = "NAME" };
        var bundles = new Option<bool>("--bundles") { Description = "make the other nodes' keys here, as files to copy, instead of letting them join by token" };
        var command = new DescribedCommand("init", "Makes this server a node of a new cluster with a managed etcd.", """
            On the first server:  evenkeel init cluster.yaml --node n1
            and start it:         systemctl enable --now evenkeel (with the package), or: evenkeel agent
            For each other one:   evenkeel token n2 prints there the line to run on that server (evenkeel join …)
            Then start each of them in the same way.

            The first creates the cluster's certificate authority below its state directory. With --bundles it also makes,
            for servers that cannot reach it, a file with all that another node needs: copy that by a safe way (scp), run
            'evenkeel init --bundle n2.bundle' there, and delete it: it holds that node's private key.
            The voting nodes run an etcd each, on their first private address; the binary must be installed.
            Nothing is written when this server has not the addresses that the file gives the node, or is a node already.
            Paths in the file that are not absolute begin in the file's directory, which must be the same on every node.
            """)
        { file, node, bundle, bundles, state, link };
        command.SetAction(parsed => Run(
            parsed.GetValue(file), parsed.GetValue(node), parsed.GetValue(bundle), parsed.GetValue(bundles), Path.GetFullPath(parsed.GetValue(state)!), parsed.GetValue(link)));
        return command;
    }

    private static int Run(string? file, string? node, string? bundle, bool withBundles, string state, string? link)
    {
        try
        {
            switch (file, node, bundle)
            {
                case ({ } source, { } name, null): First(source, name, state, link, withBundles); break;
                case (null, null, { } given) when !withBundles: Another(given, state, link); break;
                default: throw new CommandFailedException(ExitCode.Usage, "init takes FILE and --node, or --bundle", "See evenkeel init --help");
            }
        }
        catch (SetupRefusedException exception)
        {
            throw new CommandFailedException(ExitCode.Refused, exception.Message, exception.Mend);
        }
        catch (LocalClusterException exception)
        {
            throw new CommandFailedException(ExitCode.Refused, exception.Message);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, "Is the directory writable (root?), and is there room?");
        }

        return ExitCode.Success;
    }

    private static void First(string file, string name, string state, string? link, bool withBundles)
    {
        var (spec, text, directory) = LocalFile.Read(file);
        var bundles = NodeSetup.CreateFirst(spec, text, new NodeName(name), state, directory, link, withBundles);
        OfflineAudit.Add(state, new NodeName(name), $"init {Path.GetFullPath(file)} --node {name}{(withBundles ? " --bundles" : "")}", Console.WriteLine);
        Console.WriteLine($"This server is {name} of the new cluster '{spec.Cluster}' ({state}).");
        foreach (var (other, bundle) in bundles)
        {
            Console.WriteLine($"  copy {bundle} to {other}, and there: evenkeel init --bundle {other}.bundle");
        }

        Console.WriteLine(withBundles ? $"Then start every node: {AgentLine(state)}" : $"Start it: {AgentLine(state)}");
        foreach (var other in spec.Nodes.Keys.Where(other => !withBundles && other.Value != name).Order())
        {
            Console.WriteLine($"  for {other}: evenkeel token {other}");
        }

        Console.WriteLine($"Keep {Path.Combine(state, "ca")} safe, with a copy off this server: who has it can make nodes.");
    }

    private static void Another(string bundle, string state, string? link)
    {
        var node = NodeSetup.CreateFromBundle(bundle, state, link);
        OfflineAudit.Add(state, node.Node, $"init --bundle {Path.GetFullPath(bundle)}", Console.WriteLine);
        Console.WriteLine($"This server is {node.Node} of the cluster '{node.Cluster}' ({state}).");
        Console.WriteLine($"Start it: {AgentLine(state)}   Then delete {bundle}: it holds the node's private key.");
    }

    private const string Unit = "/usr/lib/systemd/system/evenkeel.service";

    /// <summary>How the agent of this state directory is started on this server: by the package's unit where that is installed.</summary>
    internal static string AgentLine(string state) => AgentLine(state, File.Exists(Unit));

    internal static string AgentLine(string state, bool packaged) =>
        state == NodeSetup.DefaultStateDirectory ? packaged ? "systemctl enable --now evenkeel" : "evenkeel agent" : $"evenkeel agent --configuration {Path.Combine(state, NodeSetup.ConfigurationFile)}";
}

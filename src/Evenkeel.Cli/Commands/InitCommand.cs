using System.CommandLine;
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
        var command = new DescribedCommand("init", "Makes this server a node of a new cluster with a managed etcd.", """
            On the first server:  evenkeel init cluster.yaml --node n1
            On each other one:    evenkeel init --bundle n2.bundle
            Then on all of them:  evenkeel agent

            The first creates the cluster's certificate authority and, below its state directory, a bundle for each other
            node of the file. A bundle holds that node's private key: copy it by a safe way (scp), and delete it afterwards.
            The voting nodes run an etcd each, on their first private address; the binary must be installed.
            Nothing is written when this server has not the addresses that the file gives the node, or is a node already.
            Paths in the file that are not absolute begin in the file's directory, which must be the same on every node.
            """)
        { file, node, bundle, state, link };
        command.SetAction(parsed => Run(
            parsed.GetValue(file), parsed.GetValue(node), parsed.GetValue(bundle), Path.GetFullPath(parsed.GetValue(state)!), parsed.GetValue(link)));
        return command;
    }

    private static int Run(string? file, string? node, string? bundle, string state, string? link)
    {
        try
        {
            switch (file, node, bundle)
            {
                case ({ } source, { } name, null): First(source, name, state, link); break;
                case (null, null, { } given): Another(given, state, link); break;
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

    private static void First(string file, string name, string state, string? link)
    {
        var (spec, text, directory) = LocalFile.Read(file);
        var bundles = NodeSetup.CreateFirst(spec, text, new NodeName(name), state, directory, link);
        Console.WriteLine($"This server is {name} of the new cluster '{spec.Cluster}' ({state}).");
        foreach (var (other, bundle) in bundles)
        {
            Console.WriteLine($"  copy {bundle} to {other}, and there: evenkeel init --bundle {other}.bundle");
        }

        Console.WriteLine($"Then start every node: {AgentLine(state)}");
        Console.WriteLine($"Keep {Path.Combine(state, "ca")} safe, with a copy off this server: who has it can make nodes.");
    }

    private static void Another(string bundle, string state, string? link)
    {
        var node = NodeSetup.CreateFromBundle(bundle, state, link);
        Console.WriteLine($"This server is {node.Node} of the cluster '{node.Cluster}' ({state}).");
        Console.WriteLine($"Start it: {AgentLine(state)}   Then delete {bundle}: it holds the node's private key.");
    }

    private static string AgentLine(string state) =>
        state == NodeSetup.DefaultStateDirectory ? "evenkeel agent" : $"evenkeel agent --configuration {Path.Combine(state, NodeSetup.ConfigurationFile)}";
}

using System.CommandLine;
using System.Diagnostics;
using System.Net;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>evenkeel lab</c>: a cluster in network namespaces, and the faults that only a real network has.</summary>
internal static class LabCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "the cluster's file" };
        var command = new Command("lab",
            "Runs every node in a network namespace of its own (Linux, root), with a public and a private network, real virtual IPs, a managed etcd, and a client. Stays in the foreground; Ctrl-C takes it all down.")
        {
            file, Exec(), Cut("cut", "Pulls the cable: both ends lose the carrier."),
            Cut("silent-cut", "Drops every packet in the switch; the carrier stays."), Cut("heal", "Undoes cuts."), Down(),
        };
        command.SetAction((parsed, cancellation) => UpAsync(parsed.GetValue(file)!, cancellation));
        return command;
    }

    private static async Task<int> UpAsync(string file, CancellationToken cancellation)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandFailedException(ExitCode.Refused, "a lab needs root: it makes network namespaces", $"sudo evenkeel lab {file}, or without root: evenkeel up {file}");
        }

        var (spec, text, directory) = LocalFile.Read(file);
        try
        {
            await using var cluster = new LabCluster(spec, text, directory);
            await cluster.StartAsync(cancellation).ConfigureAwait(false);
            await cluster.WaitUntilWholeAsync(cancellation).ConfigureAwait(false);
            Console.WriteLine($"Lab '{spec.Cluster}' serves. In another terminal:");
            foreach (var service in spec.Services.Values)
            {
                foreach (var door in service.Publish.Where(door => door.Protocol == PublishProtocol.Http))
                {
                    Console.WriteLine($"  evenkeel lab exec client curl {(door.Door.Http.Tls is null ? "http" : "-k https")}://{new IPEndPoint(spec.Vips[door.Vip].Address, door.Port)}/");
                }
            }

            Console.WriteLine($"  evenkeel lab silent-cut {spec.Nodes.Keys.First()} --network private");
            Console.WriteLine("Ctrl-C takes it down.");
            await cancellation.AsTask().ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Success;
        }
        catch (LocalClusterException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message);
        }

        return ExitCode.Success;
    }

    private static Command Exec()
    {
        var where = new Argument<string>("NODE|client") { Description = "whose namespace" };
        var words = new Argument<string[]>("COMMAND") { Description = "program and arguments", Arity = ArgumentArity.OneOrMore };
        var lab = LabOption();
        var command = new Command("exec", "Runs a command in a node's or the client's namespace.") { where, words, lab };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction(parsed =>
        {
            var (spec, network) = Find(parsed.GetValue(lab));
            var name = parsed.GetValue(where)!;
            if (name != "client")
            {
                RequireNode(spec, name);
            }

            using var process = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", network.Namespace(name), .. parsed.GetValue(words)!, .. parsed.UnmatchedTokens]) { UseShellExecute = false })!;
            process.WaitForExit();
            return process.ExitCode;
        });
        return command;
    }

    private static Command Cut(string verb, string description)
    {
        var node = new Argument<string>("NODE") { Description = "which node" };
        var network = new Option<LabLink>("--network") { Description = "public or private", Required = true };
        var oneWay = new Option<bool>("--one-way") { Description = "the node still hears, but nobody hears it (silent-cut)" };
        var deaf = new Option<bool>("--deaf") { Description = "with --one-way: the node is heard, but hears nobody" };
        var lab = LabOption();
        var command = new Command(verb, description) { node, network, lab };
        if (verb == "silent-cut")
        {
            command.Add(oneWay);
            command.Add(deaf);
        }

        command.SetAction(async (parsed, cancellation) =>
        {
            var (spec, labNetwork) = Find(parsed.GetValue(lab));
            var name = RequireNode(spec, parsed.GetValue(node)!);
            var link = parsed.GetValue(network);
            await (verb switch
            {
                "cut" => labNetwork.CutAsync(name, link, cancellation),
                "heal" => labNetwork.HealAsync(name, link, cancellation),
                _ => labNetwork.SilentCutAsync(name, link, parsed.GetValue(oneWay), parsed.GetValue(deaf), cancellation),
            }).ConfigureAwait(false);
            return ExitCode.Success;
        });
        return command;
    }

    private static Command Down()
    {
        var lab = LabOption();
        var command = new Command("down", "Ends a lab as Ctrl-C in its terminal does; clears away what is left of one that was killed.") { lab };
        command.SetAction(async (parsed, _) =>
        {
            try
            {
                await LabCluster.EndAsync(Find(parsed.GetValue(lab)).Spec).ConfigureAwait(false);
            }
            catch (LocalClusterException exception)
            {
                throw new CommandFailedException(ExitCode.Failed, exception.Message);
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static Option<string?> LabOption() => new("--cluster") { Description = "the lab's cluster; needed when several labs run", HelpName = "NAME" };

    private static NodeName RequireNode(ClusterSpec spec, string name) => spec.Nodes.ContainsKey(new NodeName(name))
        ? new NodeName(name)
        : throw new CommandFailedException(ExitCode.Usage, $"there is no node '{name}'", $"Nodes: {string.Join(", ", spec.Nodes.Keys)}");

    private static (ClusterSpec Spec, LabNetwork Network) Find(string? cluster)
    {
        var labs = Directory.Exists(LocalPaths.RunDirectory)
            ? Directory.GetDirectories(LocalPaths.RunDirectory).Select(directory => Path.GetFileName(directory)!).Where(name => File.Exists(LabCluster.FileOf(name))).ToList()
            : [];
        var chosen = cluster ?? (labs.Count == 1 ? labs[0] : null);
        if (chosen is null || !labs.Contains(chosen))
        {
            throw new CommandFailedException(ExitCode.Failed, labs.Count == 0 ? "no lab runs on this machine" : $"which lab? Running: {string.Join(", ", labs)}",
                labs.Count == 0 ? "Start one: evenkeel lab FILE" : "Name one with --cluster");
        }

        var (spec, _, _) = LocalFile.Read(LabCluster.FileOf(chosen));
        return (spec, new LabNetwork(spec));
    }
}

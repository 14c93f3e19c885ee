using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Cli.Commands;

/// <summary><c>state list</c> and <c>state export</c>: snapshots of the coordination store.</summary>
internal static class StateCommand
{
    public static Command Create() => new("state", "Snapshots of the coordination store: what the cluster has decided, in one file.") { CreateList(), CreateExport(), CreateImport() };

    private static DescribedCommand CreateList()
    {
        var state = RecoverCommand.State();
        var output = Options.Output();
        var command = new DescribedCommand("list", "Lists this voting node's own snapshots, the newest first, and whether they are whole.", """
            Every voting node takes one when its agent starts and every hour, and keeps the newest 24.
            """)
        { state, output };
        command.SetAction(parsed =>
        {
            var snapshots = StateSnapshots.List(Path.GetFullPath(parsed.GetValue(state)!));
            var to = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(output) == OutputFormat.Json)
            {
                to.WriteLine(JsonSerializer.Serialize(snapshots, ClientJson.Default.IReadOnlyListStateSnapshot));
                return ExitCode.Success;
            }

            foreach (var one in snapshots)
            {
                to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{one.At:yyyy-MM-dd HH:mm:ss}Z  {one.Bytes,12}  {(one.Problem is null ? "whole" : "NOT USABLE: " + one.Problem)}  {one.File}"));
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static DescribedCommand CreateExport()
    {
        var file = new Argument<string>("FILE") { Description = "Where to; must not exist." };
        var state = RecoverCommand.State();
        var all = new Option<bool>("--all") { Description = "The node too, with its keys: enough for a bare machine." };
        var command = new DescribedCommand("export", "Writes a snapshot of the coordination store, taken now, to a file (0600).", """
            Keep it off the cluster: it holds the guards' key beside everything that the cluster has decided.
            Restored with: evenkeel recover --from-snapshot FILE
            With --all it holds the node itself too: its configuration, certificate and key, and the authority's key where
            it is on this node. Restored on a bare machine with: evenkeel state import FILE
            """)
        { file, state, all };
        command.SetAction((parsed, cancellation) => ExportAsync(Path.GetFullPath(parsed.GetRequiredValue(file)), Path.GetFullPath(parsed.GetValue(state)!), parsed.GetValue(all), parsed.InvocationConfiguration.Output, cancellation));
        return command;
    }

    private static DescribedCommand CreateImport()
    {
        var file = new Argument<string>("FILE") { Description = "What 'evenkeel state export --all' wrote." };
        var state = RecoverCommand.State();
        var off = new Option<bool>("--others-are-off") { Description = "You have made sure that no other voting node of the cluster runs." };
        var rejoin = new Option<bool>("--rejoin") { Description = "The cluster runs on the other nodes: this one comes back to it." };
        var link = new Option<string?>("--public-interface") { Description = "The interface for virtual IPs; by default the one with the node's public address.", HelpName = "NAME" };
        var command = new DescribedCommand("import", "Makes a bare machine the node that was exported.", """
            The machine has the node's private addresses, and its state directory is empty.
            With --others-are-off the coordination store begins anew here, from the snapshot, as the next incarnation: what was
            decided after the export is lost. Start the agent; then 'evenkeel token NODE' for each other node.
            With --rejoin the snapshot is not used: the node comes back to the store that runs on the others.
            """)
        { file, state, off, rejoin, link };
        command.Validators.Add(result =>
        {
            if (result.GetValue(off) == result.GetValue(rejoin)) result.AddError("Exactly one of --others-are-off and --rejoin.");
        });
        command.SetAction((parsed, cancellation) => ImportAsync(Path.GetFullPath(parsed.GetRequiredValue(file)), Path.GetFullPath(parsed.GetValue(state)!), parsed.GetValue(rejoin), parsed.GetValue(link),
            parsed.InvocationConfiguration.Output, cancellation));
        return command;
    }

    private static async Task<int> ImportAsync(string file, string state, bool rejoin, string? link, TextWriter output, CancellationToken cancellation)
    {
        try
        {
            var (own, snapshot) = StateArchive.Unpack(file, state, link);
            output.WriteLine($"This server is {own.Node} of the cluster '{own.Cluster}' again ({state}).");
            var recovery = new StoreRecovery(own, output.WriteLine);
            if (rejoin)
            {
                recovery.Rejoin();
            }
            else
            {
                try
                {
                    await OthersProbe.ExpectSilenceAsync(own, cancellation);
                }
                catch (SetupRefusedException exception)
                {
                    throw new CommandFailedException(ExitCode.Refused, $"{exception.Message}; the node's files are there, its store was not begun",
                        $"{exception.Mend}. Then: evenkeel recover --from-snapshot {snapshot} --others-are-off --state {state}");
                }

                var incarnation = await recovery.FromSnapshotAsync(snapshot, cancellation);
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"The coordination store begins here, as incarnation {incarnation}."));
            }

            OfflineAudit.Add(state, own.Node, $"state import {file} {(rejoin ? "--rejoin" : "--others-are-off")}", output.WriteLine);
            output.WriteLine($"Start it: {InitCommand.AgentLine(state)}");
            return ExitCode.Success;
        }
        catch (SetupRefusedException exception)
        {
            throw new CommandFailedException(ExitCode.Refused, exception.Message, exception.Mend);
        }
        catch (Exception exception) when (exception is EtcdStartException or InvalidDataException or StoreUnavailableException)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, $"Mend that, then: evenkeel recover --from-snapshot {Path.Combine(state, "etcd.db")} --others-are-off --state {state}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, "Is the directory writable (root?), and is there room?");
        }
    }

    private static async Task<int> ExportAsync(string file, string state, bool all, TextWriter output, CancellationToken cancellation)
    {
        var configuration = RecoverCommand.Load(state);
        if (configuration.Store != StoreKind.Etcd || configuration.StoreEndpoints.Count == 0)
        {
            throw new CommandFailedException(ExitCode.Refused, configuration.Store == StoreKind.External ? "this cluster's coordination store is an etcd of yours: back it up as you do (etcdctl snapshot save)"
                : "this cluster's coordination store is no etcd: it is one file on its machine");
        }

        if (File.Exists(file))
        {
            throw new CommandFailedException(ExitCode.Refused, $"{file} is there already; nothing was changed", "Name another file");
        }

        try
        {
            var snapshot = all ? file + ".snapshot" : file;
            var endpoint = await StateExport.TakeAsync(configuration with { StateDirectory = state }, snapshot, cancellation);
            if (all)
            {
                StateArchive.Write(file, state, snapshot);
                File.Delete(snapshot);
            }

            OfflineAudit.Add(state, configuration.Node, $"state export {file}{(all ? " --all" : "")}", output.WriteLine);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{file}: {new FileInfo(file).Length} bytes, from etcd at {endpoint}"));
            return ExitCode.Success;
        }
        catch (StoreUnavailableException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, "Does the agent run? Older snapshots: evenkeel state list");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message);
        }
    }
}

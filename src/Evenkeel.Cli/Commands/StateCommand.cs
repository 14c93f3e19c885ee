using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Cli.Commands;

/// <summary><c>state list</c> and <c>state export</c>: snapshots of the coordination store.</summary>
internal static class StateCommand
{
    public static Command Create() => new("state", "Snapshots of the coordination store: what the cluster has decided, in one file.") { CreateList(), CreateExport() };

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
        var command = new DescribedCommand("export", "Writes a snapshot of the coordination store, taken now, to a file (0600).", """
            Keep it off the cluster: it holds the guards' key beside everything that the cluster has decided.
            Restored with: evenkeel recover --from-snapshot FILE
            """)
        { file, state };
        command.SetAction((parsed, cancellation) => ExportAsync(Path.GetFullPath(parsed.GetRequiredValue(file)), Path.GetFullPath(parsed.GetValue(state)!), parsed.InvocationConfiguration.Output, cancellation));
        return command;
    }

    private static async Task<int> ExportAsync(string file, string state, TextWriter output, CancellationToken cancellation)
    {
        var configuration = RecoverCommand.Load(state);
        if (configuration.Store != StoreKind.Etcd || configuration.StoreEndpoints.Count == 0)
        {
            throw new CommandFailedException(ExitCode.Refused, "this cluster's coordination store is no etcd: it is one file on its machine");
        }

        if (File.Exists(file))
        {
            throw new CommandFailedException(ExitCode.Refused, $"{file} is there already; nothing was changed", "Name another file");
        }

        try
        {
            var endpoint = await StateExport.TakeAsync(configuration with { StateDirectory = state }, file, cancellation);
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

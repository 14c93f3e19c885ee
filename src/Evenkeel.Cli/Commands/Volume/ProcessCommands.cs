using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using Evenkeel.Agent.Volumes;
using Evenkeel.Core.Volumes;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume serve-leg</c> and <c>volume write</c>: the two processes of a volume, which a node's guard starts. Not for people.</summary>
internal static class ProcessCommands
{
    public static Command ServeLeg() => Create("serve-leg", "Serves this node's leg of a volume; started by the node's guard.", async (text, log, stop) =>
    {
        await LegProcess.RunAsync(JsonSerializer.Deserialize(text, VolumeJson.Default.LegSettings)!, log, stop).ConfigureAwait(false);
        return null;
    });

    public static Command Write() => Create("write", "Writes a volume under this node's lease; started by the node's guard.", (text, log, stop) =>
        WriterProcess.RunAsync(JsonSerializer.Deserialize(text, VolumeJson.Default.WriterSettings)!, log, stop));

    private static Command Create(string name, string description, Func<string, Action<string>, CancellationToken, Task<string?>> run)
    {
        var settings = new Argument<string>("SETTINGS") { Description = "As JSON." };
        var command = new Command(name, description) { settings };
        command.Hidden = true;
        command.SetAction(async (parsed, stop) =>
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
            using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
            {
                signal.Cancel = true;
                ending.Cancel();
            });
            var error = parsed.InvocationConfiguration.Error;
            try
            {
                if (await run(parsed.GetRequiredValue(settings), error.WriteLine, ending.Token).ConfigureAwait(false) is not { } failure) return ExitCode.Success;
                await error.WriteLineAsync($"evenkeel: {failure}").ConfigureAwait(false);
            }
            catch (JsonException unreadable)
            {
                await error.WriteLineAsync($"evenkeel: the settings cannot be read: {unreadable.Message}").ConfigureAwait(false);
            }

            return ExitCode.Failed;
        });
        return command;
    }
}

using System.CommandLine;
using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid stop</c>.</summary>
internal static class StopCommand
{
    public static Command Create()
    {
        var name = RaidCommands.Name();
        var command = new DescribedCommand("stop", "Stops an array: clients are cut off, everything is made durable, the members are marked clean.",
            "Returns when the array's process has ended. A rebuild goes on from its last checkpoint when the array starts again.") { name };
        command.SetAction((parsed, stop) => RaidGuard.RunAsync(async () =>
        {
            using var link = await RunningArrays.FindAsync(parsed.GetRequiredValue(name), stop).ConfigureAwait(false)
                ?? throw new CommandFailedException(ExitCode.Failed, $"no array '{parsed.GetRequiredValue(name)}' runs here", "'evenkeel raid status' lists those that do.");
            RunningArrays.Check(await link.OrderAsync(new HostOrder("stop"), stop).ConfigureAwait(false));
            await link.WaitForEndAsync(stop).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }
}

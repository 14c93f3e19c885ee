using System.CommandLine;
using System.Diagnostics;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume detach</c>.</summary>
internal static class DetachCommand
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5), s_pause = TimeSpan.FromMilliseconds(50);

    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "The file that 'volume attach --file' made." };
        var mount = new Option<string?>("--mount") { Description = "The directory where it is mounted.", HelpName = "DIRECTORY" };
        var command = new DescribedCommand("detach", "Undoes 'volume attach': unmounts, then takes the file away.",
            "Returns when everything written has reached the volume. A file that is in use is waited for, 5 s at most.") { file, mount };
        command.SetAction((parsed, stop) => Raid.RaidGuard.RunAsync(async () =>
        {
            var path = Path.GetFullPath(parsed.GetRequiredValue(file));
            if (parsed.GetValue(mount) is { } directory) await Outside.RunAsync("umount", [Path.GetFullPath(directory)], stop).ConfigureAwait(false);
            await TakeAwayAsync(path, stop).ConfigureAwait(false);
            File.Delete(path + ".pid");
            if (new FileInfo(path) is { Exists: true, Length: 0 } left) left.Delete();
            return ExitCode.Success;
        }));
        return command;
    }

    // The kernel lets go of the loop device a moment after the file system on it.
    private static async Task TakeAwayAsync(string path, CancellationToken stop)
    {
        for (var waiting = Stopwatch.StartNew(); ; await Task.Delay(s_pause, stop).ConfigureAwait(false))
        {
            try
            {
                await Outside.RunAsync("fusermount3", ["-u", path], stop).ConfigureAwait(false);
                return;
            }
            catch (CommandFailedException failure) when (waiting.Elapsed < s_patience && failure.Message.Contains("busy", StringComparison.Ordinal))
            {
                // Once more.
            }
        }
    }
}

using System.CommandLine;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume detach</c>.</summary>
internal static class DetachCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "The file that 'volume attach --file' made." };
        var mount = new Option<string?>("--mount") { Description = "The directory where it is mounted.", HelpName = "DIRECTORY" };
        var command = new DescribedCommand("detach", "Undoes 'volume attach': unmounts, then takes the file away.",
            "Returns when everything written has reached the volume.") { file, mount };
        command.SetAction((parsed, stop) => Raid.RaidGuard.RunAsync(async () =>
        {
            var path = Path.GetFullPath(parsed.GetRequiredValue(file));
            if (parsed.GetValue(mount) is { } directory) await Outside.RunAsync("umount", [Path.GetFullPath(directory)], stop).ConfigureAwait(false);
            await Outside.RunAsync("fusermount3", ["-u", path], stop).ConfigureAwait(false);
            File.Delete(path + ".pid");
            if (new FileInfo(path) is { Exists: true, Length: 0 } left) left.Delete();
            return ExitCode.Success;
        }));
        return command;
    }
}

using System.CommandLine;
using System.Diagnostics;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume attach</c>.</summary>
internal static class AttachCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    public static Command Create()
    {
        var uri = new Argument<string>("URI") { Description = "What 'evenkeel raid status' shows: nbd://host/export or nbd+unix:///export?socket=PATH." };
        var file = new Option<string?>("--file") { Description = "Show the volume as this file (made anew), by nbdfuse.", HelpName = "PATH" };
        var mount = new Option<string?>("--mount") { Description = "With --file: also mount the file system in it here, by a loop device.", HelpName = "DIRECTORY" };
        var command = new DescribedCommand("attach", "Brings a served volume to this machine as a file, or mounts it.",
            "Without --file it prints the URI in the forms that QEMU and libnbd want. The kernel's NBD client (nbd-client) is not used: on the\n"
            + "machine that serves it can deadlock when memory runs short. 'evenkeel volume detach' undoes it.") { uri, file, mount };
        command.SetAction((parsed, stop) => Raid.RaidGuard.RunAsync(async () =>
        {
            var (address, path, directory) = (parsed.GetRequiredValue(uri), parsed.GetValue(file), parsed.GetValue(mount));
            Evenkeel.Raid.Nbd.NbdAddress.Parse(address);
            var output = parsed.InvocationConfiguration.Output;
            if (path is null)
            {
                if (directory is not null) throw new CommandFailedException(ExitCode.Usage, "--mount needs --file.");
                await output.WriteLineAsync($"QEMU:    -drive file={address},format=raw,if=virtio").ConfigureAwait(false);
                await output.WriteLineAsync($"libnbd:  nbdfuse FILE {address}").ConfigureAwait(false);
                return ExitCode.Success;
            }

            path = Path.GetFullPath(path);
            await ShowAsync(path, address, stop).ConfigureAwait(false);
            if (directory is not null)
            {
                try
                {
                    Directory.CreateDirectory(directory);
                    await Outside.RunAsync("mount", ["-o", "loop", path, Path.GetFullPath(directory)], stop).ConfigureAwait(false);
                }
                catch (CommandFailedException)
                {
                    await Outside.RunAsync("fusermount3", ["-u", path], CancellationToken.None).ConfigureAwait(false);
                    throw;
                }
            }

            await output.WriteLineAsync(directory is null ? path : Path.GetFullPath(directory)).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }

    // nbdfuse serves until the file is unmounted; its pid file appears when the file is there.
    private static async Task ShowAsync(string path, string uri, CancellationToken stop)
    {
        if (!File.Exists(path)) await File.WriteAllBytesAsync(path, [], stop).ConfigureAwait(false);
        else if (new FileInfo(path).Length > 0) throw new CommandFailedException(ExitCode.Refused, $"{path} exists and is not empty.", "Name a new file.");
        var ready = path + ".pid";
        File.Delete(ready);
        Process process;
        try
        {
            process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "exec setsid nbdfuse --pidfile \"$1\" \"$2\" \"$3\" >/dev/null 2>\"$1.err\" </dev/null", "sh", ready, path, uri]))!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new CommandFailedException(ExitCode.Failed, e.Message);
        }

        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limited.CancelAfter(Patience);
        while (!File.Exists(ready) && !process.HasExited) await Task.Delay(Look, limited.Token).ConfigureAwait(false);
        var said = File.Exists(ready + ".err") ? (await File.ReadAllTextAsync(ready + ".err", stop).ConfigureAwait(false)).Trim().ReplaceLineEndings(" ") : "";
        File.Delete(ready + ".err");
        using (process)
        {
            if (!process.HasExited) return;
            File.Delete(path);
            throw new CommandFailedException(ExitCode.Failed, $"nbdfuse failed: {said}", "It comes with libnbd (Debian: libnbd-bin), and needs /dev/fuse.");
        }
    }
}

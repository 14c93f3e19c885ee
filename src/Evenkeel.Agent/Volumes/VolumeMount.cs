using System.Diagnostics;
using Evenkeel.Agent.Local;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// Brings an array to the node's file tree: nbdfuse shows it as a file, which is mounted through a loop device. The kernel's NBD
/// client is not used: on the machine that serves it can deadlock when memory runs short. nbdfuse is a child of the writer, so it
/// ends with the writer's lease, and the kernel's mount can write nothing from then on.
/// </summary>
internal sealed class VolumeMount : IAsyncDisposable
{
    private static readonly TimeSpan ShowPatience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan BusyPatience = TimeSpan.FromSeconds(20);
    private readonly string _file;
    private readonly string _directory;
    private readonly Process _fuse;

    private VolumeMount(string file, string directory, Process fuse) => (_file, _directory, _fuse) = (file, directory, fuse);

    /// <summary>Completes when the file is shown no more: nothing can be read or written.</summary>
    public Task Ended => _fuse.WaitForExitAsync();

    /// <summary>Mounts what the socket serves.</summary>
    /// <param name="make">Whether to make the file system first.</param>
    /// <exception cref="LocalClusterException">A program is missing or failed, with its words.</exception>
    public static async Task<VolumeMount> AttachAsync(string socket, string export, string file, string directory, string fileSystem, bool make, CancellationToken stop)
    {
        await CleanAsync(file, directory, stop).ConfigureAwait(false);
        Directory.CreateDirectory(directory);
        await File.WriteAllBytesAsync(file, [], stop).ConfigureAwait(false);
        var fuse = await ShowAsync(socket, export, file, stop).ConfigureAwait(false);
        try
        {
            // All by way of the loop device, which reads and writes whole sectors: e2fsck writes single bytes of a superblock, and
            // what nbdfuse shows passes them on as they are.
            var loop = (await SystemCommand.RunAsync(["losetup", "--find", "--show", file], stop).ConfigureAwait(false)).Trim();
            try
            {
                if (make)
                {
                    await SystemCommand.RunAsync(fileSystem == "xfs" ? ["mkfs.xfs", "-q", "-f", "-K", loop] : ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", loop], stop).ConfigureAwait(false);
                }
                else if (fileSystem == "ext4")
                {
                    await CheckAsync(loop, stop).ConfigureAwait(false);
                }

                await SystemCommand.RunAsync(["mount", "-t", fileSystem, loop, directory], stop).ConfigureAwait(false);
            }
            finally
            {
                // In use it goes away with its last user (losetup(8), lazy device destruction), however that ends.
                await ((Task)SystemCommand.RunAsync(["losetup", "--detach", loop], CancellationToken.None)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            return new VolumeMount(file, directory, fuse);
        }
        catch
        {
            await DropAsync(file, fuse).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Unmounts: everything written has then reached the array.</summary>
    /// <exception cref="LocalClusterException">It is still in use.</exception>
    public async ValueTask DisposeAsync()
    {
        for (var clock = Stopwatch.StartNew(); ; await Task.Delay(Look).ConfigureAwait(false))
        {
            try
            {
                await SystemCommand.RunAsync(["umount", _directory], CancellationToken.None).ConfigureAwait(false);
                break;
            }
            catch (LocalClusterException) when (clock.Elapsed < BusyPatience)
            {
                // Somebody looks at it; a moment later nobody may.
            }
        }

        await DropAsync(_file, _fuse).ConfigureAwait(false);
    }

    /// <summary>Takes away what a writer that was killed left: mounts that lead nowhere.</summary>
    internal static async Task CleanAsync(string file, string directory, CancellationToken stop)
    {
        var loops = await SystemCommand.RunAsync(["losetup", "--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE"], stop).ConfigureAwait(false);
        foreach (var line in loops.Split('\n').Where(line => line.EndsWith(" " + file, StringComparison.Ordinal)))
        {
            await ((Task)SystemCommand.RunAsync(["losetup", "--detach", line.Split(' ')[0]], stop)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach (var left in new[] { directory, file })
        {
            for (var rounds = 0; rounds < 16 && IsMounted(await File.ReadAllTextAsync("/proc/self/mountinfo", stop).ConfigureAwait(false), left); rounds++)
            {
                await SystemCommand.RunAsync(["umount", "-l", left], stop).ConfigureAwait(false);
            }
        }
    }

    // proc(5): id parent major:minor root mount-point …; blanks and the like are octal.
    internal static bool IsMounted(string mountInfo, string path) => mountInfo.Split('\n')
        .Any(line => line.Split(' ') is { Length: > 5 } fields && fields[4].Replace("\\040", " ", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal) == path);

    private static async Task<Process> ShowAsync(string socket, string export, string file, CancellationToken stop)
    {
        var ready = file + ".pid";
        File.Delete(ready);
        var fuse = new Process
        {
            StartInfo = new ProcessStartInfo("nbdfuse", ["--pidfile", ready, file, $"nbd+unix:///{Uri.EscapeDataString(export)}?socket={Uri.EscapeDataString(socket)}"])
            {
                RedirectStandardError = true, UseShellExecute = false,
            },
        };
        try
        {
            fuse.Start();
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new LocalClusterException("nbdfuse is not installed: it comes with libnbd (Debian: libnbd-bin), and needs /dev/fuse");
        }

        var said = fuse.StandardError.ReadToEndAsync(CancellationToken.None);
        for (var clock = Stopwatch.StartNew(); !File.Exists(ready); await Task.Delay(Look, stop).ConfigureAwait(false))
        {
            if (fuse.HasExited)
            {
                throw new LocalClusterException($"nbdfuse failed: {(await said.ConfigureAwait(false)).Trim()}");
            }

            if (clock.Elapsed > ShowPatience)
            {
                fuse.Kill();
                throw new LocalClusterException("nbdfuse did not show the array in time");
            }
        }

        return fuse;
    }

    // e2fsck(8): 1 is 'errors corrected'; 4 and up need a person.
    private static async Task CheckAsync(string device, CancellationToken stop)
    {
        using var check = Process.Start(new ProcessStartInfo("e2fsck", ["-p", device]) { RedirectStandardOutput = true, RedirectStandardError = true })
            ?? throw new LocalClusterException("e2fsck cannot be run");
        var words = check.StandardOutput.ReadToEndAsync(stop);
        await check.WaitForExitAsync(stop).ConfigureAwait(false);
        if (check.ExitCode >= 4)
        {
            throw new LocalClusterException($"the file system needs a person: e2fsck ended with {check.ExitCode}: {(await words.ConfigureAwait(false)).Trim()}");
        }
    }

    private static async Task DropAsync(string file, Process fuse)
    {
        await ((Task)SystemCommand.RunAsync(["umount", file], CancellationToken.None)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await fuse.WaitForExitAsync().WaitAsync(ShowPatience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!fuse.HasExited)
        {
            fuse.Kill();
        }

        fuse.Dispose();
        File.Delete(file + ".pid");
    }
}

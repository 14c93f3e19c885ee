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
    // A process that looks at it is gone by then; somebody's shell would stand there for longer than any planned move may take.
    private static readonly TimeSpan BusyPatience = TimeSpan.FromSeconds(5);
    private const int HoldersNamed = 5;
    private readonly string _file;
    private readonly string _directory;
    private readonly Process _fuse;
    private readonly Action<string> _log;

    private VolumeMount(string file, string directory, Process fuse, Action<string> log) => (_file, _directory, _fuse, _log) = (file, directory, fuse, log);

    /// <summary>Completes when the file is shown no more: nothing can be read or written.</summary>
    public Task Ended => _fuse.WaitForExitAsync();

    /// <summary>Mounts what the socket serves.</summary>
    /// <param name="make">Whether to make the file system first.</param>
    /// <exception cref="LocalClusterException">A program is missing or failed, with its words.</exception>
    public static async Task<VolumeMount> AttachAsync(string socket, string export, string file, string directory, string fileSystem, bool make, Action<string> log, CancellationToken stop)
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

            return new VolumeMount(file, directory, fuse, log);
        }
        catch
        {
            await DropAsync(file, fuse).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Unmounts: everything written has then reached the array. What stays in use after some seconds is taken from the tree all the
    /// same, so that the volume can go on elsewhere: who still holds it is named in the log, and gets errors from then on.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await UnmountAsync().ConfigureAwait(false);
        }
        catch (LocalClusterException failure)
        {
            // The array is still to be stopped in order.
            _log($"{_directory} cannot be unmounted: {failure.Message}");
        }

        await DropAsync(_file, _fuse).ConfigureAwait(false);
    }

    private async Task UnmountAsync()
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < BusyPatience; await Task.Delay(Look).ConfigureAwait(false))
        {
            try
            {
                await SystemCommand.RunAsync(["umount", _directory], CancellationToken.None).ConfigureAwait(false);
                return;
            }
            catch (LocalClusterException)
            {
                // Somebody looks at it; a moment later nobody may.
            }
        }

        var holders = HoldersOf(_directory);
        _log($"{_directory} is in use by {(holders.Count == 0 ? "a process that cannot be seen from here" : string.Join(", ", holders.Take(HoldersNamed)))}: it is taken away all the same");
        // A lazy unmount writes nothing back while somebody holds it, and there is no way in afterwards.
        await SystemCommand.RunAsync(["sync", "-f", _directory], CancellationToken.None).ConfigureAwait(false);
        await SystemCommand.RunAsync(["umount", "-l", _directory], CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Processes that have something under the directory open, or stand there, as 'name (id)'.</summary>
    internal static IReadOnlyList<string> HoldersOf(string directory)
    {
        List<string> holders = [];
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(path => int.TryParse(Path.GetFileName(path), out _)))
        {
            try
            {
                var links = new[] { process + "/cwd", process + "/root" }.Concat(Directory.EnumerateFileSystemEntries(process + "/fd"));
                if (links.Any(link => new FileInfo(link).LinkTarget is { } target && (target == directory || target.StartsWith(directory.TrimEnd('/') + "/", StringComparison.Ordinal))))
                {
                    holders.Add($"{File.ReadAllText(process + "/comm").Trim()} ({Path.GetFileName(process)})");
                }
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                // It has ended meanwhile.
            }
        }

        return holders;
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

    /// <summary>The same of every volume whose files are in this directory, when all its processes have ended.</summary>
    internal static async Task CleanUnderAsync(string directory)
    {
        foreach (var left in PointsOf(await File.ReadAllTextAsync("/proc/self/mountinfo").ConfigureAwait(false)).Where(point => point.StartsWith(directory.TrimEnd('/') + "/", StringComparison.Ordinal)).ToList())
        {
            await ((Task)SystemCommand.RunAsync(["umount", "-l", left], CancellationToken.None)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    internal static bool IsMounted(string mountInfo, string path) => PointsOf(mountInfo).Contains(path);

    // proc(5): id parent major:minor root mount-point …; blanks and the like are octal.
    private static IEnumerable<string> PointsOf(string mountInfo) =>
        from line in mountInfo.Split('\n')
        let fields = line.Split(' ')
        where fields.Length > 5
        select fields[4].Replace("\\040", " ", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal);

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
        try
        {
            await SystemCommand.RunAsync(["umount", file], CancellationToken.None).ConfigureAwait(false);
            await fuse.WaitForExitAsync().WaitAsync(ShowPatience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (LocalClusterException)
        {
            // Its loop device is open elsewhere: nbdfuse would not end by itself. The file system above has been unmounted, so
            // everything is written; what is left shown is taken out of the tree, as it leads nowhere from here on.
            await ((Task)SystemCommand.RunAsync(["umount", "-l", file], CancellationToken.None)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (!fuse.HasExited)
        {
            fuse.Kill();
        }

        fuse.Dispose();
        File.Delete(file + ".pid");
    }
}

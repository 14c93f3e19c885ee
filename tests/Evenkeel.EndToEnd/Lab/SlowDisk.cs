using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>An ext4 on a disk each of whose writes takes its time: nbdkit's delay filter, nbdfuse, a loop mount.</summary>
internal sealed class SlowDisk(string directory, string mount) : IAsyncDisposable
{
    private readonly List<Process> processes = [];
    private bool mounted;

    public static async Task<SlowDisk> MountAsync(string mount, TimeSpan write, CancellationToken cancellation)
    {
        var disk = new SlowDisk(System.IO.Directory.CreateTempSubdirectory("evenkeel-slow-").FullName, mount);
        try
        {
            await disk.StartAsync(write, cancellation);
            return disk;
        }
        catch
        {
            await disk.DisposeAsync();
            throw;
        }
    }

    private async Task StartAsync(TimeSpan write, CancellationToken cancellation)
    {
        var (image, socket, device) = (Path.Combine(directory, "image"), Path.Combine(directory, "socket"), Path.Combine(directory, "device"));
        await Raid.Tool.RunAsync("truncate", "-s", "2G", image);
        // Without a journal a durable write is few requests: the test shall not take minutes.
        await Raid.Tool.RunAsync("mkfs.ext4", "-q", "-O", "^has_journal", image);
        await File.WriteAllBytesAsync(device, [], cancellation);
        processes.Add(Start("nbdkit", ["--foreground", "--unix", socket, "--filter=delay", "file", image, string.Create(CultureInfo.InvariantCulture, $"delay-write={write.TotalMilliseconds}ms")]));
        await UntilAsync(() => File.Exists(socket), cancellation);
        processes.Add(Start("nbdfuse", [device, $"nbd+unix:///?socket={socket}"]));
        await UntilAsync(() => new FileInfo(device).Length > 0, cancellation);
        System.IO.Directory.CreateDirectory(mount);
        await Raid.Tool.RunAsync("mount", "-o", "loop,noinit_itable", device, mount);
        mounted = true;
    }

    // What they say when the disk goes away with writes under way is of no use to anybody.
    private static Process Start(string program, string[] words) => Process.Start("sh", ["-c", "exec \"$0\" \"$@\" 2>/dev/null", program, .. words]);

    private static async Task UntilAsync(Func<bool> there, CancellationToken cancellation)
    {
        for (var limit = Stopwatch.StartNew(); !there(); await Task.Delay(20, cancellation)) Assert.True(limit.Elapsed < TimeSpan.FromSeconds(20), "the slow disk did not appear");
    }

    public async ValueTask DisposeAsync()
    {
        if (mounted) await Raid.Tool.RunAsync("umount", mount);
        // The last first, each in order: nbdfuse writes to nbdkit what the loop device still has, and lets go of it a moment after the mount.
        if (processes.Count > 1)
        {
            for (var limit = Stopwatch.StartNew(); limit.Elapsed < TimeSpan.FromSeconds(10) && await Raid.Tool.TryAsync("fusermount3", "-u", Path.Combine(directory, "device")) is { Code: not 0 };) await Task.Delay(50);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            await processes[1].WaitForExitAsync(patience.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }

        foreach (var process in processes)
        {
            if (!process.HasExited) process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        System.IO.Directory.Delete(directory, recursive: true);
    }
}

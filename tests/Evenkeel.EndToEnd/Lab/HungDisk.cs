using System.Diagnostics;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// A file on a disk that does not answer: who reads it with O_DIRECT waits in the kernel (state D of proc(5)) and outlives SIGKILL, for
/// as long as nbdkit's delay filter keeps nbdfuse waiting.
/// </summary>
internal sealed class HungDisk : IAsyncDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-hung-").FullName;
    private readonly List<Process> processes = [];

    /// <summary>Everybody may read it.</summary>
    public string File => Path.Combine(directory, "file");

    public static async Task<HungDisk> MountAsync(CancellationToken cancellation)
    {
        var disk = new HungDisk();
        try
        {
            await disk.StartAsync(cancellation);
            return disk;
        }
        catch
        {
            await disk.DisposeAsync();
            throw;
        }
    }

    /// <summary>Reads one block: it does not come back before <see cref="LetGo"/>.</summary>
    public string Read => $"dd if={File} of=/dev/null bs=4096 count=1 iflag=direct";

    /// <summary>The disk is gone: each wait ends with an error, and what was killed meanwhile ends.</summary>
    public void LetGo()
    {
        foreach (var process in Enumerable.Reverse(processes)) if (!process.HasExited) process.Kill();
    }

    public async ValueTask DisposeAsync()
    {
        LetGo();
        foreach (var process in processes)
        {
            await process.WaitForExitAsync();
            process.Dispose();
        }

        await Raid.Tool.TryAsync("umount", File);
        Directory.Delete(directory, recursive: true);
    }

    private async Task StartAsync(CancellationToken cancellation)
    {
        System.IO.File.SetUnixFileMode(directory, (UnixFileMode)0b111_101_101);
        await System.IO.File.WriteAllBytesAsync(File, [], cancellation);
        var socket = Path.Combine(directory, "socket");
        processes.Add(Start("nbdkit", ["--foreground", "--unix", socket, "--filter=delay", "memory", "1M", "delay-read=3600"]));
        await UntilAsync(() => System.IO.File.Exists(socket), cancellation);
        processes.Add(Start("nbdfuse", ["-o", "allow_other", File, $"nbd+unix:///?socket={socket}"]));
        await UntilAsync(() => new FileInfo(File).Length > 0, cancellation);
    }

    private static Process Start(string program, string[] words) => Process.Start("sh", ["-c", "exec \"$0\" \"$@\" 2>/dev/null", program, .. words]);

    private static async Task UntilAsync(Func<bool> there, CancellationToken cancellation)
    {
        for (var limit = Stopwatch.StartNew(); !there(); await Task.Delay(20, cancellation)) Assert.True(limit.Elapsed < TimeSpan.FromSeconds(20), "the disk did not appear");
    }
}

using Evenkeel.Agent.Local;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>A file system of its own with little room (tmpfs), which can be full.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private SmallDisk(string path) => Path = path;

    public string Path { get; }
    private string Filler => System.IO.Path.Combine(Path, "filler");

    public static async Task<SmallDisk> MountAsync(string path, int mebibytes, CancellationToken cancellation)
    {
        await SystemCommand.RunAsync(["mount", "-t", "tmpfs", "-o", $"size={mebibytes}m,mode=0711", "evenkeel-test", path], cancellation);
        return new SmallDisk(path);
    }

    /// <summary>Not a byte is left.</summary>
    public void Fill()
    {
        using var filler = new FileStream(Filler, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        foreach (var block in new[] { 1 << 20, 4096 })
        {
            try
            {
                while (true) filler.Write(new byte[block]);
            }
            catch (IOException) when (new DriveInfo(Path).AvailableFreeSpace < 1 << 20)
            {
                // Full, but for blocks smaller than this.
            }
        }
    }

    public void Free() => File.Delete(Filler);

    public async ValueTask DisposeAsync() => await SystemCommand.RunAsync(["umount", "--lazy", Path], CancellationToken.None);
}

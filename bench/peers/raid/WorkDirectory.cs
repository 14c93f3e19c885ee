namespace Evenkeel.RaidBench;

/// <summary>Files and sockets of a run; gone at its end.</summary>
internal sealed class WorkDirectory : IDisposable
{
    private int _sockets;

    public string Path { get; } = Directory.CreateTempSubdirectory("evenkeel-raid-bench-").FullName;

    public string Socket() => System.IO.Path.Combine(Path, $"s{Interlocked.Increment(ref _sockets)}");

    /// <summary>A file written throughout, so that no one pays for allocation during a measurement.</summary>
    public string Filled(string name, long bytes)
    {
        var path = System.IO.Path.Combine(Path, name);
        using var file = File.Create(path);
        var block = new byte[1 << 20];
        new Random(1).NextBytes(block);
        for (long at = 0; at < bytes; at += block.Length) file.Write(block);
        file.Flush(flushToDisk: true);
        return path;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

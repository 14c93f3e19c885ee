using System.Collections.Concurrent;

namespace Evenkeel.Backup.Server;

/// <summary>Counts the bytes that each owner stores and refuses what goes beyond the limit. Safe for concurrent use.</summary>
/// <remarks>What is stored is counted once, at an owner's first use; from then on every change passes here.</remarks>
internal sealed class StorageQuota(string directory, long? limit)
{
    private readonly ConcurrentDictionary<string, Lazy<Counter>> _counters = new();

    private sealed class Counter(long bytes)
    {
        public long Bytes = bytes;
    }

    /// <summary>Takes room; false when there is not enough, and then nothing was taken.</summary>
    public bool TryTake(string owner, long bytes)
    {
        if (limit is not { } most)
        {
            return true;
        }
        var counter = Of(owner);
        if (Interlocked.Add(ref counter.Bytes, bytes) <= most)
        {
            return true;
        }
        Interlocked.Add(ref counter.Bytes, -bytes);
        return false;
    }

    public void GiveBack(string owner, long bytes)
    {
        if (limit is not null)
        {
            Interlocked.Add(ref Of(owner).Bytes, -bytes);
        }
    }

    private Counter Of(string owner) => _counters.GetOrAdd(owner, name => new Lazy<Counter>(() => new Counter(Count(Path.Combine(directory, name))))).Value;

    private static long Count(string folder) => !Directory.Exists(folder) ? 0
        : new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length);
}

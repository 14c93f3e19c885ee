using System.Numerics;

namespace Evenkeel.Raid.Array;

/// <summary>A set of sync chunks (what one bitmap bit stands for). Single bits may be read while another thread changes others.</summary>
public sealed class ChunkSet(long size)
{
    private readonly ulong[] _words = new ulong[(size + 63) / 64];

    /// <summary>One more than the greatest chunk.</summary>
    public long Size => size;

    /// <summary>Number of chunks in the set.</summary>
    public long Count => _words.Sum(word => (long)BitOperations.PopCount(word));

    /// <summary>Whether a chunk is in the set.</summary>
    public bool this[long chunk]
    {
        get => (Volatile.Read(ref _words[chunk >> 6]) >> (int)(chunk & 63) & 1) != 0;
        set
        {
            if (value) Interlocked.Or(ref _words[chunk >> 6], 1UL << (int)(chunk & 63));
            else Interlocked.And(ref _words[chunk >> 6], ~(1UL << (int)(chunk & 63)));
        }
    }

    /// <summary>The first chunk of the set that is not below <paramref name="from"/>, or -1.</summary>
    public long Next(long from)
    {
        for (var word = from >> 6; word < _words.Length; word++, from = word << 6)
        {
            var rest = Volatile.Read(ref _words[word]) >> (int)(from & 63);
            if (rest != 0) return from + BitOperations.TrailingZeroCount(rest);
        }

        return -1;
    }

    /// <summary>Whether any chunk of a range, both ends included, is in the set.</summary>
    public bool Any(ChunkRange range)
    {
        for (var chunk = range.First; chunk <= range.Last; chunk++)
            if (this[chunk]) return true;
        return false;
    }

    /// <summary>Adds every chunk from <paramref name="from"/> on.</summary>
    public void AddFrom(long from)
    {
        for (var chunk = from; chunk < size; chunk++) this[chunk] = true;
    }

    /// <summary>Adds all chunks of another set of the same size.</summary>
    public void Add(ChunkSet other)
    {
        for (var word = 0; word < _words.Length; word++) Interlocked.Or(ref _words[word], other._words[word]);
    }
}

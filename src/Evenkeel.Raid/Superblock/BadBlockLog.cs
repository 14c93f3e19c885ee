using System.Buffers.Binary;

namespace Evenkeel.Raid.Superblock;

/// <summary>
/// Ranges of a member that hold no valid data (md's bad-block log): 64-bit entries, sector &lt;&lt; 10 | length, ended by all ones.
/// Sectors are counted from the member's data offset. Evenkeel never reads such a range and never shrinks the log.
/// </summary>
public sealed class BadBlockLog
{
    private readonly List<(long Sector, long Length)> _ranges = [];

    /// <summary>A log without entries.</summary>
    public static BadBlockLog Empty { get; } = new();

    /// <summary>Whether no range is bad.</summary>
    public bool IsEmpty => _ranges.Count == 0;

    /// <summary>Reads the log's sectors.</summary>
    public static BadBlockLog Read(ReadOnlySpan<byte> bytes, byte shift)
    {
        var log = new BadBlockLog();
        for (; bytes.Length >= 8; bytes = bytes[8..])
        {
            var entry = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            if (entry == ulong.MaxValue) break;
            if ((entry & 0x3ff) != 0) log._ranges.Add(((long)(entry >> 10) << shift, (long)(entry & 0x3ff) << shift));
        }

        return log;
    }

    /// <summary>Whether any of the sectors is bad.</summary>
    public bool Overlaps(long sector, long count)
    {
        foreach (var (start, length) in _ranges)
            if (sector < start + length && start < sector + count) return true;
        return false;
    }
}

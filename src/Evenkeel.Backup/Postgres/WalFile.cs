using System.Globalization;

namespace Evenkeel.Backup.Postgres;

/// <summary>Names of PostgreSQL's write-ahead log: segments, timeline histories and backup labels.</summary>
/// <remarks>Source: PostgreSQL's <c>xlog_internal.h</c>. A segment's name is timeline, log and segment, eight hexadecimal digits each.</remarks>
public static class WalFile
{
    /// <summary>Whether the server may ask to archive such a file.</summary>
    public static bool IsArchivable(string name) => IsSegment(name) || IsHistory(name)
        || (name.Length > 24 && IsSegment(name[..24]) && (name.EndsWith(".backup", StringComparison.Ordinal) || name.EndsWith(".partial", StringComparison.Ordinal)));

    /// <summary>24 hexadecimal digits.</summary>
    public static bool IsSegment(string name) => name.Length == 24 && IsHex(name);

    /// <summary>Where a timeline branched off: eight digits and <c>.history</c>.</summary>
    public static bool IsHistory(string name) => name.Length == 16 && name.EndsWith(".history", StringComparison.Ordinal) && IsHex(name[..8]);

    /// <summary>The place in the log without the timeline; a segment with a smaller one was written earlier, on whatever timeline.</summary>
    public static ulong Position(string segment) => ulong.Parse(segment.AsSpan(8, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>The last 16 digits of the name of the segment that holds the byte before a place in the log.</summary>
    /// <param name="position">Not the log's beginning.</param>
    /// <param name="segmentSize">The server's <c>wal_segment_size</c>, bytes.</param>
    public static string EndOf(ulong position, ulong segmentSize)
    {
        ArgumentOutOfRangeException.ThrowIfZero(position);
        // Log and segment are the two halves of a name; a log has 4 GiB.
        var (segment, each) = ((position - 1) / segmentSize, 0x1_0000_0000 / segmentSize);
        return string.Create(CultureInfo.InvariantCulture, $"{segment / each:X8}{segment % each:X8}");
    }

    private static bool IsHex(string text) => text.All(c => char.IsAsciiDigit(c) || c is >= 'A' and <= 'F');
}

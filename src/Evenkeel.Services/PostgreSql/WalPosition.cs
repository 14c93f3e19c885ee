using System.Globalization;

namespace Evenkeel.Services.PostgreSql;

/// <summary>A place in the write-ahead log in bytes, from PostgreSQL's text form <c>16/B374D848</c>.</summary>
internal static class WalPosition
{
    /// <exception cref="FormatException">Not such a text.</exception>
    public static long Parse(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        return slash < 0
            ? throw new FormatException($"'{text}' is no position in a write-ahead log")
            : (long)((ulong)uint.Parse(text.AsSpan(0, slash), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) << 32
                | uint.Parse(text.AsSpan(slash + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
    }

    public static string Text(long position) => $"{(ulong)position >> 32:X}/{(uint)position:X}";

    /// <summary>The number of the segment that holds the position, counted over all of the log.</summary>
    public static long Segment(long position, long segmentBytes) => position / segmentBytes;

    /// <summary>That number from a file's name (timeline, high part, segment; eight hexadecimal digits each); null for other files.</summary>
    public static long? SegmentOf(string file, long segmentBytes) =>
        file.Length == 24
        && uint.TryParse(file.AsSpan(8, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var high)
        && uint.TryParse(file.AsSpan(16, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var low)
            ? (high * (0x1_0000_0000L / segmentBytes)) + low : null;
}

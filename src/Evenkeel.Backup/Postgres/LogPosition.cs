using System.Globalization;

namespace Evenkeel.Backup.Postgres;

/// <summary>A place in PostgreSQL's log as it prints it: two hexadecimal numbers around a slash.</summary>
public static class LogPosition
{
    /// <summary>Reads one; fails with <see cref="FormatException"/>.</summary>
    public static ulong Parse(string text) => text.Split('/') is [var high, var low]
        && uint.TryParse(high, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var h)
        && uint.TryParse(low, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var l)
        ? ((ulong)h << 32) | l : throw new FormatException($"'{text}' is no place in the log; such as 0/3000148");

    /// <summary>The same the other way round.</summary>
    public static string Write(ulong position) => string.Create(CultureInfo.InvariantCulture, $"{position >> 32:X}/{position & uint.MaxValue:X}");
}

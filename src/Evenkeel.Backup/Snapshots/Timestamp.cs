using System.Globalization;

namespace Evenkeel.Backup.Snapshots;

/// <summary>A time to the nanosecond with the zone offset it is written with (RFC 3339, as Go prints it).</summary>
/// <param name="Seconds">Since 1970 in UTC; may be negative.</param>
/// <param name="Nanoseconds">0 to 999,999,999.</param>
/// <param name="OffsetMinutes">Zone east of UTC.</param>
public readonly record struct Timestamp(long Seconds, int Nanoseconds, int OffsetMinutes = 0) : IComparable<Timestamp>
{
    // Go prints years 0 to 9999 only; times outside are moved to the nearest such year, as restic does.
    private const long FirstSecond = -62135596800;
    private const long LastSecond = 253402300799;

    /// <summary>The time in UTC, cut to 100 ns.</summary>
    public DateTimeOffset ToDateTimeOffset() =>
        DateTimeOffset.UnixEpoch.AddSeconds(Math.Clamp(Seconds, FirstSecond, LastSecond)).AddTicks(Nanoseconds / 100);

    /// <summary>The same instant as <paramref name="time"/>, with its offset.</summary>
    public static Timestamp From(DateTimeOffset time)
    {
        var ticks = time.UtcTicks - DateTime.UnixEpoch.Ticks;
        var seconds = Math.DivRem(ticks, TimeSpan.TicksPerSecond, out var rest);
        if (rest < 0)
        {
            (seconds, rest) = (seconds - 1, rest + TimeSpan.TicksPerSecond);
        }
        return new Timestamp(seconds, (int)rest * 100, (int)time.Offset.TotalMinutes);
    }

    /// <summary>An instant in the machine's own zone, as restic writes the times of files.</summary>
    public static Timestamp Local(long seconds, int nanoseconds)
    {
        var zone = TimeZoneInfo.Local;
        if (ReferenceEquals(zone, TimeZoneInfo.Utc) || (zone.BaseUtcOffset == TimeSpan.Zero && !zone.SupportsDaylightSavingTime))
        {
            return new Timestamp(seconds, nanoseconds);
        }
        var instant = DateTimeOffset.UnixEpoch.AddSeconds(Math.Clamp(seconds, FirstSecond + 86400, LastSecond - 86400));
        return new Timestamp(seconds, nanoseconds, (int)zone.GetUtcOffset(instant).TotalMinutes);
    }

    /// <summary>Reads RFC 3339 with any number of decimals.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out Timestamp time)
    {
        time = default;
        var dot = text.IndexOf('.');
        var nanoseconds = 0;
        var zoneAt = dot < 0 ? 19 : dot + 1;
        if (dot == 19)
        {
            for (var weight = 100_000_000; zoneAt < text.Length && char.IsAsciiDigit(text[zoneAt]); zoneAt++, weight /= 10)
            {
                nanoseconds += (text[zoneAt] - '0') * weight;
            }
        }
        if (text.Length <= zoneAt || zoneAt < 19
            || !DateTime.TryParseExact(text[..19], "yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture, DateTimeStyles.None, out var local))
        {
            return false;
        }
        var zone = text[zoneAt..];
        var offset = 0;
        if (zone is not "Z")
        {
            if (zone.Length != 6 || zone[0] is not ('+' or '-') || zone[3] != ':'
                || !int.TryParse(zone[1..3], NumberStyles.None, null, out var hours)
                || !int.TryParse(zone[4..6], NumberStyles.None, null, out var minutes))
            {
                return false;
            }
            offset = ((hours * 60) + minutes) * (zone[0] == '-' ? -1 : 1);
        }
        var seconds = (local.Ticks - DateTime.UnixEpoch.Ticks) / TimeSpan.TicksPerSecond;
        time = new Timestamp(seconds - (offset * 60L), nanoseconds, offset);
        return true;
    }

    /// <summary>As Go's <c>time.RFC3339Nano</c>: trailing zeros of the fraction are left out, UTC is <c>Z</c>.</summary>
    public override string ToString()
    {
        var local = DateTime.UnixEpoch.AddSeconds(Math.Clamp(Seconds + (OffsetMinutes * 60L), FirstSecond, LastSecond));
        var fraction = Nanoseconds == 0 ? "" : "." + Nanoseconds.ToString("D9", CultureInfo.InvariantCulture).TrimEnd('0');
        var minutes = Math.Abs(OffsetMinutes);
        var zone = OffsetMinutes == 0 ? "Z" : string.Create(CultureInfo.InvariantCulture,
            $"{(OffsetMinutes < 0 ? '-' : '+')}{minutes / 60:D2}:{minutes % 60:D2}");
        return local.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture) + fraction + zone;
    }

    /// <summary>Orders by instant, whatever the offset.</summary>
    public int CompareTo(Timestamp other)
    {
        var order = Seconds.CompareTo(other.Seconds);
        return order != 0 ? order : Nanoseconds.CompareTo(other.Nanoseconds);
    }

    /// <summary>Whether both are the same instant.</summary>
    public bool SameInstant(Timestamp other) => CompareTo(other) == 0;
}

using System.Text;

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

    /// <summary>Bytes of <c>2006-01-02T15:04:05.999999999-07:00</c>.</summary>
    public const int LongestText = 35;

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
        var utf8 = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        return TryParse(utf8.AsSpan(0, Encoding.UTF8.GetBytes(text, utf8)), out time);
    }

    /// <summary>The same in UTF-8. By hand, as <see cref="Format"/>: a backup reads and writes three times for every file.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out Timestamp time)
    {
        time = default;
        if (text.Length < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':')
        {
            return false;
        }
        int year = Number(text[..4]), month = Number(text[5..7]), day = Number(text[8..10]);
        int hour = Number(text[11..13]), minute = Number(text[14..16]), second = Number(text[17..19]);
        if (year < 1 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month)
            || hour is < 0 or > 23 || minute is < 0 or > 59 || second is < 0 or > 59)
        {
            return false;
        }
        var zone = text[19..];
        var nanoseconds = 0;
        if (zone[0] == '.')
        {
            zone = zone[1..];
            for (var weight = 100_000_000; zone.Length > 0 && char.IsAsciiDigit((char)zone[0]); zone = zone[1..], weight /= 10)
            {
                nanoseconds += (zone[0] - '0') * weight;
            }
        }
        var offset = 0;
        if (!zone.SequenceEqual("Z"u8))
        {
            if (zone.Length != 6 || zone[0] is not ((byte)'+' or (byte)'-') || zone[3] != ':')
            {
                return false;
            }
            int hours = Number(zone[1..3]), minutes = Number(zone[4..6]);
            if (hours < 0 || minutes < 0)
            {
                return false;
            }
            offset = ((hours * 60) + minutes) * (zone[0] == '-' ? -1 : 1);
        }
        var seconds = (new DateTime(year, month, day, hour, minute, second).Ticks - DateTime.UnixEpoch.Ticks) / TimeSpan.TicksPerSecond;
        time = new Timestamp(seconds - (offset * 60L), nanoseconds, offset);
        return true;
    }

    /// <summary>As Go's <c>time.RFC3339Nano</c>: trailing zeros of the fraction are left out, UTC is <c>Z</c>.</summary>
    public override string ToString()
    {
        Span<byte> ascii = stackalloc byte[LongestText];
        return Encoding.ASCII.GetString(ascii[..Format(ascii)]);
    }

    /// <summary>Writes the text in ASCII; returns its length, at most <see cref="LongestText"/>.</summary>
    public int Format(Span<byte> output)
    {
        var local = DateTime.UnixEpoch.AddSeconds(Math.Clamp(Seconds + (OffsetMinutes * 60L), FirstSecond, LastSecond));
        "0000-00-00T00:00:00"u8.CopyTo(output);
        Digits(output[..4], local.Year);
        Digits(output[5..7], local.Month);
        Digits(output[8..10], local.Day);
        Digits(output[11..13], local.Hour);
        Digits(output[14..16], local.Minute);
        Digits(output[17..19], local.Second);
        var length = 19;
        if (Nanoseconds != 0)
        {
            output[19] = (byte)'.';
            Digits(output[20..29], Nanoseconds);
            length = 20 + output[20..29].TrimEnd((byte)'0').Length;
        }
        if (OffsetMinutes == 0)
        {
            output[length] = (byte)'Z';
            return length + 1;
        }
        "+00:00"u8.CopyTo(output[length..]);
        output[length] = OffsetMinutes < 0 ? (byte)'-' : (byte)'+';
        Digits(output.Slice(length + 1, 2), Math.Abs(OffsetMinutes) / 60);
        Digits(output.Slice(length + 4, 2), Math.Abs(OffsetMinutes) % 60);
        return length + 6;
    }

    /// <summary>Orders by instant, whatever the offset.</summary>
    public int CompareTo(Timestamp other)
    {
        var order = Seconds.CompareTo(other.Seconds);
        return order != 0 ? order : Nanoseconds.CompareTo(other.Nanoseconds);
    }

    /// <summary>Whether both are the same instant.</summary>
    public bool SameInstant(Timestamp other) => CompareTo(other) == 0;

    private static void Digits(Span<byte> output, int value)
    {
        for (var i = output.Length - 1; i >= 0; i--, value /= 10)
        {
            output[i] = (byte)('0' + (value % 10));
        }
    }

    // Negative where it is not digits alone.
    private static int Number(ReadOnlySpan<byte> digits)
    {
        var value = 0;
        foreach (var digit in digits)
        {
            if (!char.IsAsciiDigit((char)digit))
            {
                return -1;
            }
            value = (value * 10) + digit - '0';
        }
        return value;
    }
}

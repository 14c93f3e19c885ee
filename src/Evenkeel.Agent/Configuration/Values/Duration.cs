using System.Buffers;
using System.Globalization;

namespace Evenkeel.Agent.Configuration.Values;

/// <summary>Times as people write them: <c>100ms</c>, <c>5s</c>, <c>1m30s</c>, <c>2h</c>, <c>7d</c>; a plain <c>0</c> needs no unit.</summary>
public static class Duration
{
    internal static readonly SearchValues<char> Digits = SearchValues.Create("0123456789.");
    private static readonly (string Unit, double Seconds)[] s_units =
        [("us", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 7 * 86400)];

    /// <summary>False for anything else, negative times and times over 100 years.</summary>
    public static bool TryParse(string text, out TimeSpan value)
    {
        value = default;
        if (text == "0")
            return true;
        var rest = text.AsSpan();
        double seconds = 0;
        while (rest.Length > 0)
        {
            var digits = rest.IndexOfAnyExcept(Digits);
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
                return false;
            rest = rest[digits..];
            var letters = rest.IndexOfAny(Digits);
            var unit = (letters < 0 ? rest : rest[..letters]).ToString();
            var factor = Array.Find(s_units, known => known.Unit == unit).Seconds;
            if (factor == 0)
                return false;
            seconds += number * factor;
            rest = letters < 0 ? [] : rest[letters..];
        }
        if (text.Length == 0 || seconds > 100 * 365 * 86400.0)
            return false;
        value = TimeSpan.FromTicks((long)Math.Round(seconds * TimeSpan.TicksPerSecond));
        return true;
    }

    /// <summary>The shortest exact writing in one unit: <c>1.5s</c> is <c>1500ms</c>.</summary>
    public static string Format(TimeSpan value)
    {
        if (value == TimeSpan.Zero)
            return "0s";
        foreach (var (unit, ticks) in new[] { ("d", TimeSpan.TicksPerDay), ("h", TimeSpan.TicksPerHour), ("m", TimeSpan.TicksPerMinute), ("s", TimeSpan.TicksPerSecond), ("ms", TimeSpan.TicksPerMillisecond) })
            if (value.Ticks % ticks == 0)
                return (value.Ticks / ticks).ToString(CultureInfo.InvariantCulture) + unit;
        return (value.Ticks / (double)TimeSpan.TicksPerMicrosecond).ToString(CultureInfo.InvariantCulture) + "us";
    }
}

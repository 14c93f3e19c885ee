using System.Globalization;

namespace Evenkeel.Agent.Configuration.Values;

/// <summary>Sizes as people write them: <c>20GiB</c> (1024³), <c>500MB</c> (1000²), <c>4096</c> (bytes).</summary>
public static class ByteSize
{
    private static readonly string[] s_prefixes = ["", "K", "M", "G", "T", "P"];

    /// <summary>With the largest unit of 1024ⁿ that it fills: <c>1.5KiB</c>.</summary>
    public static string Format(long bytes)
    {
        var (value, power) = ((double)bytes, 0);
        for (; value >= 1024 && power < s_prefixes.Length - 1; power++)
            value /= 1024;
        return power == 0 ? $"{bytes}B" : string.Create(CultureInfo.InvariantCulture, $"{value:0.#}{s_prefixes[power]}iB");
    }

    /// <summary>False for anything else, fractions of a byte, and sizes over 8 EiB.</summary>
    public static bool TryParse(string text, out long bytes)
    {
        bytes = 0;
        var digits = text.AsSpan().IndexOfAnyExcept(Duration.Digits);
        var number = digits < 0 ? text : text[..digits];
        var unit = digits < 0 ? "B" : text[digits..].Trim();
        if (!decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) || !unit.EndsWith('B'))
            return false;
        var binary = unit.EndsWith("iB", StringComparison.Ordinal);
        var power = Array.IndexOf(s_prefixes, unit[..^(binary ? 2 : 1)]);
        if (power < 0 || (binary && power == 0))
            return false;
        for (var i = 0; i < power; i++)
            value *= binary ? 1024 : 1000;
        if (value > long.MaxValue || value != decimal.Truncate(value))
            return false;
        bytes = (long)value;
        return true;
    }
}

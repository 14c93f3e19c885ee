using System.Globalization;

namespace Evenkeel.Cli.Backup;

/// <summary>Bytes for people.</summary>
internal static class Sizes
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    /// <summary>Reads such as <c>500GiB</c>, <c>10 MiB</c> or <c>4096</c>; a usage error for anything else.</summary>
    public static long Parse(string text)
    {
        var number = text.TrimEnd([.. "BKMGTPi "]);
        var unit = text[number.Length..].Trim();
        var power = unit.Length == 0 ? 0 : Array.IndexOf(Units, unit);
        return power >= 0 && double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            && value * Math.Pow(1024, power) is > 0 and < long.MaxValue and var bytes
            ? (long)bytes : throw new CommandFailedException(ExitCode.Usage, $"'{text}' is no size; such as 500GiB, 10MiB or 4096");
    }

    public static string Of(long bytes)
    {
        double value = bytes;
        var unit = 0;
        for (; Math.Abs(value) >= 1024 && unit < Units.Length - 1; unit++)
        {
            value /= 1024;
        }
        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {Units[unit]}");
    }
}

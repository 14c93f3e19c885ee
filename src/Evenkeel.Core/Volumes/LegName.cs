using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Volumes;

/// <summary>
/// The export's name by which a writer asks for a leg: <c>files@1.5</c>, the volume and the epoch that it writes under; for data
/// <c>files@1.5.8412</c>, with the connection's number, which grows; for data that lag behind <c>files@1.5.8412.async</c>: carried out in
/// the order in which they come. A server that does not know such a name refuses it.
/// </summary>
public static class LegName
{
    private const string Lagging = ".async";

    public static string Of(string volume, Epoch epoch, long connection = 0, bool lags = false) =>
        connection == 0 ? $"{volume}@{epoch}" : $"{volume}@{epoch}.{connection}{(lags ? Lagging : "")}";

    /// <summary>False for anything else.</summary>
    /// <param name="connection">0 when the name has none.</param>
    /// <param name="lags">Never without a connection's number.</param>
    public static bool TryParse(string name, out string volume, out Epoch epoch, out long connection, out bool lags)
    {
        (volume, epoch, connection) = ("", default, 0);
        lags = name.EndsWith(Lagging, StringComparison.Ordinal);
        if (lags) name = name[..^Lagging.Length];
        var at = name.LastIndexOf('@');
        if (at <= 0) return false;
        var numbers = name[(at + 1)..].Split('.');
        if (numbers.Length is not (2 or 3) || (lags && numbers.Length == 2) || !int.TryParse(numbers[0], NumberStyles.None, CultureInfo.InvariantCulture, out var incarnation)
            || !long.TryParse(numbers[1], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            || (numbers.Length == 3 && (!long.TryParse(numbers[2], NumberStyles.None, CultureInfo.InvariantCulture, out connection) || connection == 0))) return false;
        (volume, epoch) = (name[..at], new Epoch(incarnation, number));
        return true;
    }
}

using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Volumes;

/// <summary>The export's name by which a writer asks for a leg: <c>files@1.5</c>, the volume and the epoch that it writes under.</summary>
public static class LegName
{
    public static string Of(string volume, Epoch epoch) => $"{volume}@{epoch}";

    /// <summary>False for anything else.</summary>
    public static bool TryParse(string name, out string volume, out Epoch epoch)
    {
        (volume, epoch) = ("", default);
        var at = name.LastIndexOf('@');
        var dot = at < 0 ? -1 : name.IndexOf('.', at);
        if (at <= 0 || dot < 0 || !int.TryParse(name.AsSpan(at + 1, dot - at - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var incarnation)
            || !long.TryParse(name.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return false;
        (volume, epoch) = (name[..at], new Epoch(incarnation, number));
        return true;
    }
}

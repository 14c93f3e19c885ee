using System.Globalization;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Whether a copy can simply follow an upstream, or has written (or received) what the upstream's history lacks. A timeline's
/// history file names, for each ancestor, the position at which it was left.
/// </summary>
internal sealed record TimelineHistory(int Timeline, IReadOnlyDictionary<int, long> LeftAt)
{
    /// <param name="timeline">The upstream's own.</param>
    /// <param name="text">Its history file; empty for the first timeline, which has none.</param>
    public static TimelineHistory Parse(int timeline, string text)
    {
        var left = new Dictionary<int, long>();
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split((char[]?)null, 3, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length >= 2 && int.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out var ancestor))
            {
                left[ancestor] = WalPosition.Parse(words[1]);
            }
        }

        return new TimelineHistory(timeline, left);
    }

    /// <param name="timeline">The copy's own.</param>
    /// <param name="end">The end of its log.</param>
    public bool HasAll(int timeline, long end) => timeline == Timeline || (LeftAt.TryGetValue(timeline, out var left) && end <= left);

    /// <summary>The same for a data directory at rest.</summary>
    public bool HasAll(ControlData data) =>
        data.Timeline == Timeline
        // The closing checkpoint's record lies behind its position; a crashed primary's last record is not known at all.
        || (!data.WasPrimaryAndCrashed && HasAll(data.Timeline, data.WasPrimaryAndClosed ? data.Checkpoint + 1 : data.RecoveredTo));
}

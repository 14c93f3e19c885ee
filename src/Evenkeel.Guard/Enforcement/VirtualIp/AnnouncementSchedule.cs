using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

// After a takeover or a heal: switches learn late, single frames get lost, and a cache that missed them all costs clients a
// second or more. So announcements come thick at first, then thin out, then stay as a slow refresh.

/// <summary>When to announce: 0, 50, 200, 500 ms, 1, 2, 5 s after a (re)start, then every 30 s.</summary>
internal sealed class AnnouncementSchedule
{
    private static readonly TimeSpan[] Offsets = [.. new[] { 0, 50, 200, 500, 1000, 2000, 5000 }.Select(ms => TimeSpan.FromMilliseconds(ms))];
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(30);

    private Instant start;
    private int next;

    public void Restart(Instant now) => (start, next) = (now, 0);

    /// <summary>True when an announcement is due; several that were missed count as one.</summary>
    public bool IsDue(Instant now)
    {
        var since = now.Since(start);
        if (since < Offset(next)) return false;
        while (since >= Offset(next)) next++;
        return true;
    }

    private static TimeSpan Offset(int index) =>
        index < Offsets.Length ? Offsets[index] : Offsets[^1] + (index - Offsets.Length + 1) * Refresh;
}

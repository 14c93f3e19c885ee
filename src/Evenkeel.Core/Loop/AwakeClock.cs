using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop;

/// <summary>
/// Silence counts only while this agent was awake to hear. A loop that was paused (garbage collection, starved CPU, a
/// stopped virtual machine) would otherwise wake up, find everybody silent for a second, and declare the cluster dead
/// (safety rule 11). So each gap between two steps counts for at most <see cref="longestStep"/>; detection by a starved
/// agent slows down, but does not stop.
/// </summary>
public sealed class AwakeClock(bool capped)
{
    private static readonly TimeSpan longestStep = TimeSpan.FromMilliseconds(40);
    private Instant? last;

    /// <summary>Time awake since the loop began.</summary>
    public TimeSpan Now { get; private set; }

    public void Advance(Instant now)
    {
        if (last is { } before && now.Since(before) is var gap && gap > TimeSpan.Zero) Now += gap < longestStep || !capped ? gap : longestStep;
        last = now;
    }
}

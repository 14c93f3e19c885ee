using Evenkeel.Core.Model;
using Evenkeel.Guard.Native;

namespace Evenkeel.Guard.Time;

/// <summary>This machine's two clocks (clock_gettime(2)), as <see cref="Instant"/> wants them.</summary>
public static unsafe class Clocks
{
    private const int MonotonicRaw = 4, BootTime = 7;
    private const long Together = 100_000;

    /// <summary>
    /// Both clocks, read within 0.1 ms of each other where that is possible: a pause between the two readings would look like
    /// a jump between the clocks. The older raw reading is kept, so that neither value lies in the future.
    /// </summary>
    public static Instant Read()
    {
        var best = default(Instant);
        var gap = long.MaxValue;
        for (var attempt = 0; attempt < 8 && gap > Together; attempt++)
        {
            var before = Read(MonotonicRaw);
            var boot = Read(BootTime);
            var spread = Read(MonotonicRaw) - before;
            if (spread < gap) (best, gap) = (new(boot, before), spread);
        }
        return best;
    }

    private static long Read(int clock)
    {
        Libc.TimeSpec time;
        if (Libc.ClockGetTime(clock, &time) != 0) throw new PlatformNotSupportedException($"clock {clock} cannot be read");
        return time.Seconds * 1_000_000_000 + time.Nanoseconds;
    }
}

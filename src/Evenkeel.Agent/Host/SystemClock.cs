using System.Runtime.InteropServices;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>This node's two clocks (clock_gettime(2)): CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW.</summary>
internal static partial class SystemClock
{
    private const int MonotonicRaw = 4;
    private const int BootTime = 7;

    public static Instant Now => new(Read(BootTime), Read(MonotonicRaw));

    private static long Read(int clock)
    {
        if (ClockGetTime(clock, out var time) != 0)
        {
            throw new InvalidOperationException($"clock_gettime({clock}) failed with errno {Marshal.GetLastPInvokeError()}");
        }

        return time.Seconds * 1_000_000_000 + time.Nanoseconds;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    private static partial int ClockGetTime(int clock, out TimeSpec time);
}

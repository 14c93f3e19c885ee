using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Enforcement.Native;

/// <summary>Reads both clocks of an <see cref="Instant"/>. The guard's only source of time.</summary>
internal static unsafe class BootClock
{
    private const string Offsets = "/proc/self/timens_offsets";
    private const int MonotonicRaw = 4, RealtimeCoarse = 5, Boot = 7;

    public static Instant Now()
    {
        TimeSpec boot, raw;
        _ = Libc.clock_gettime(Boot, &boot);
        _ = Libc.clock_gettime(MonotonicRaw, &raw);
        return new Instant(boot.Seconds * 1_000_000_000 + boot.Nanoseconds, raw.Seconds * 1_000_000_000 + raw.Nanoseconds);
    }

    /// <summary>How far both clocks are from <paramref name="until"/>: the smaller of the two, for rights that must end in time.</summary>
    public static TimeSpan Remaining(Instant now, Instant until) => TimeSpan.FromTicks(
        Math.Min(until.BootNanoseconds - now.BootNanoseconds, until.RawNanoseconds - now.RawNanoseconds) / 100);

    /// <summary>The kernel's tick (1 / CONFIG_HZ): the coarse clock's resolution. Kernel time-outs may end up to two ticks late.</summary>
    public static TimeSpan KernelTick { get; } = ReadTick();

    /// <summary>CLOCK_BOOTTIME of this process is not the kernel's own (time_namespaces(7)).</summary>
    public static bool IsOwn { get; } = File.Exists(Offsets) && File.ReadLines(Offsets).Any(line =>
        line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is ["boottime", var seconds, var nanoseconds] && (seconds, nanoseconds) != ("0", "0"));

    private static TimeSpan ReadTick()
    {
        TimeSpec tick;
        return Libc.clock_getres(RealtimeCoarse, &tick) == 0 && tick.Seconds == 0
            ? TimeSpan.FromTicks((tick.Nanoseconds + 99) / 100) : TimeSpan.FromMilliseconds(10);
    }
}

using System.Runtime.InteropServices;

namespace Evenkeel.PrivateConnection.Guard;

internal interface IKillTimer
{
    /// <summary>Replaces the earlier moment, if any.</summary>
    void KillAt(long bootNanoseconds);
    void Disarm();
}

/// <summary>
/// A timer by which the kernel sends SIGKILL to this process (timer_create(2) on CLOCK_BOOTTIME). It needs no thread of ours
/// to run, and ends a stopped process as well.
/// </summary>
internal sealed unsafe partial class KillTimer : IKillTimer
{
    private const int BootTime = 7, SignalKill = 9, AbsoluteTime = 1;
    private readonly nint _timer;

    public KillTimer()
    {
        // struct sigevent is 64 bytes: value (8), signal (4), kind (4, SIGEV_SIGNAL = 0).
        Span<int> sigevent = stackalloc int[16];
        sigevent.Clear();
        sigevent[2] = SignalKill;
        nint timer;
        fixed (int* start = sigevent)
            if (Create(BootTime, start, &timer) != 0)
                throw new PlatformNotSupportedException($"no kernel timer: error {Marshal.GetLastPInvokeError()}");
        _timer = timer;
    }

    public void KillAt(long bootNanoseconds) => Set(Math.Max(1, bootNanoseconds));
    public void Disarm() => Set(0);

    private void Set(long at)
    {
        // struct itimerspec: interval (seconds, nanoseconds), value (seconds, nanoseconds); zero disarms.
        var spec = stackalloc long[4] { 0, 0, at / 1_000_000_000, at % 1_000_000_000 };
        if (SetTime(_timer, AbsoluteTime, spec, 0) != 0)
            throw new InvalidOperationException($"the kernel timer cannot be set: error {Marshal.GetLastPInvokeError()}");
    }

    [LibraryImport("libc", EntryPoint = "timer_create", SetLastError = true)]
    private static partial int Create(int clock, int* sigevent, nint* timer);

    [LibraryImport("libc", EntryPoint = "timer_settime", SetLastError = true)]
    private static partial int SetTime(nint timer, int flags, long* value, nint old);
}

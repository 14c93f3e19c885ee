using System.Runtime.InteropServices;

namespace Evenkeel.Agent.Preflight;

/// <summary>What of the kernel only a call can tell.</summary>
internal static partial class KernelCalls
{
    private const int RoundRobin = 2, Other = 0, LimitLockedMemory = 8; // sched(7), getrlimit(2)
    private const int PacketFamily = 17, Datagram = 2;
    private const int Unsynchronised = 0x40; // STA_UNSYNC, sys/timex.h

    /// <summary>On a thread of its own: whether it may have real-time priority; null when it may, else why not.</summary>
    public static string? TryRealTime()
    {
        string? reason = null;
        var thread = new Thread(() =>
        {
            var (raised, usual) = (20, 0);
            if (SetScheduler(0, RoundRobin, ref raised) != 0)
            {
                reason = Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
            }

            _ = SetScheduler(0, Other, ref usual);
        });
        thread.Start();
        thread.Join();
        return reason;
    }

    /// <summary>The limit of locked memory in bytes; null: none.</summary>
    public static ulong? LockLimit()
    {
        var limit = new ulong[2];
        return GetLimit(LimitLockedMemory, limit) == 0 && limit[0] != ulong.MaxValue ? limit[0] : null;
    }

    /// <summary>Null when packets of one's own may be sent (ARP), else why not.</summary>
    public static string? TryPacketSocket()
    {
        var socket = OpenSocket(PacketFamily, Datagram, 0);
        if (socket < 0)
        {
            return Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
        }

        _ = Close(socket);
        return null;
    }

    /// <summary>How the kernel keeps the wall clock (adjtimex(2)); null where it does not tell.</summary>
    public static WallClockState? WallClock()
    {
        var state = new Timex();
        return AdjustTime(ref state) < 0 ? null : new WallClockState((state.Status & Unsynchronised) == 0, TimeSpan.FromMicroseconds(state.MaximumError),
            (state.Frequency / 65536.0 + (state.Tick - 10_000) * 100.0) / 1e6);
    }

    // struct timex of the 64-bit kernels; the rest is padding.
    [StructLayout(LayoutKind.Sequential, Size = 208)]
    private struct Timex
    {
        public uint Modes;
        public long Offset;
        public long Frequency;
        public long MaximumError;
        public long EstimatedError;
        public int Status;
        public long Constant;
        public long Precision;
        public long Tolerance;
        public long Seconds;
        public long Microseconds;
        public long Tick;
    }

    [LibraryImport("libc", EntryPoint = "adjtimex", SetLastError = true)]
    private static partial int AdjustTime(ref Timex state);

    [LibraryImport("libc", EntryPoint = "sched_setscheduler", SetLastError = true)]
    private static partial int SetScheduler(int thread, int policy, ref int priority);

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int GetLimit(int resource, [Out] ulong[] limit);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int OpenSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}

/// <param name="Synchronised">Something (chrony, systemd-timesyncd, ntpd) disciplines it.</param>
/// <param name="MaximumError">As the kernel estimates.</param>
/// <param name="Correction">By which the rate is corrected now, relative: 0.0001 is 100 ppm. CLOCK_BOOTTIME has it, CLOCK_MONOTONIC_RAW has not.</param>
internal sealed record WallClockState(bool Synchronised, TimeSpan MaximumError, double Correction);

using System.Globalization;
using System.Runtime.CompilerServices;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Scheduling;

/// <summary>
/// Keeps the guard's loop running on a starved machine: real-time scheduling of the calling thread, memory that is never paged
/// out, no victim of the out-of-memory killer, exact timers. Each is asked for on its own; what is not permitted is said in words.
/// </summary>
public static unsafe class GuardPriority
{
    private const int RoundRobin = 2, ResetOnFork = 0x40000000, Priority = 20;
    private const int LockCurrent = 1, LockFuture = 2, LockOnFault = 4, LimitLockedMemory = 8;
    private const int TimerSlackNanoseconds = 1;

    /// <summary>Call on the guard's main thread. Children and later threads start with ordinary scheduling (reset on fork).</summary>
    /// <returns>What was not permitted; empty is best.</returns>
    public static IReadOnlyList<string> Raise()
    {
        var missing = new List<string>();
        if (!Set(RoundRobin | ResetOnFork))
        {
            missing.Add($"no real-time priority ({Libc.Describe(Libc.LastError)}): a starved machine may lose its leases");
            if (Libc.setpriority(0, 0, -20) != 0) missing.Add("no raised nice value either");
        }
        if (LockMemory() is { } unlocked) missing.Add(unlocked);
        if (WriteOwn("oom_score_adj", "-1000") is { } victim) missing.Add($"the out-of-memory killer may choose the guard ({victim})");
        _ = Libc.prctl(Libc.SetTimerSlack, TimerSlackNanoseconds, 0, 0, 0);
        return missing;
    }

    /// <summary>
    /// Lets a child of the calling thread begin as urgently as the thread itself, until disposed: posix_spawn suspends the parent until the
    /// child has become its program, and on a busy machine a child of ordinary priority takes the guard's whole lease for that. The program
    /// takes an ordinary one as its first act. Nothing happens where the thread has no real-time priority.
    /// </summary>
    internal static ChildrenInherit Urgent() => new(Libc.sched_getscheduler(0) == (RoundRobin | ResetOnFork) && Set(RoundRobin));

    private static bool Set(int policy)
    {
        var priority = Priority;
        return Libc.sched_setscheduler(0, policy, &priority) == 0;
    }

    internal readonly ref struct ChildrenInherit(bool changed)
    {
        public void Dispose()
        {
            if (changed) _ = Set(RoundRobin | ResetOnFork);
        }
    }

    // Under a limit, MCL_FUTURE would make ordinary allocations fail later: worse than not locking.
    private static string? LockMemory()
    {
        var limit = stackalloc ulong[2];
        var unlimited = Libc.getrlimit(LimitLockedMemory, limit) == 0 && limit[0] == ulong.MaxValue;
        if (!unlimited && !HasLockCapability()) return "memory is not locked (needs CAP_IPC_LOCK or an unlimited memlock limit): paging may stall the guard";
        // Compiled ahead of time, all is brought in now. A runtime with a compiler maps 100 MB that the guard never touches: there a
        // page is locked once it was used. In both, what comes later is locked when touched, as far more is reserved than used.
        if ((!RuntimeFeature.IsDynamicCodeCompiled && Libc.mlockall(LockCurrent) != 0) || Libc.mlockall(LockCurrent | LockFuture | LockOnFault) != 0)
            return $"memory is not locked ({Libc.Describe(Libc.LastError)}): paging may stall the guard";
        return null;
    }

    private static bool HasLockCapability()
    {
        const int ipcLock = 14;
        var line = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("CapEff:", StringComparison.Ordinal));
        return line is not null && ulong.TryParse(line.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var effective)
            && (effective & (1ul << ipcLock)) != 0;
    }

    private static string? WriteOwn(string file, string value)
    {
        try
        {
            File.WriteAllText($"/proc/self/{file}", value);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }
}

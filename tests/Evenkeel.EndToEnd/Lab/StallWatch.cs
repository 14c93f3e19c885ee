using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Notices when this machine itself stands still (a hypervisor that gives the processor to others): a thread of real-time
/// priority that wants to run every 2 ms and could not. What a cluster does during such a pause says nothing about it: all
/// nodes of a lab share the one machine, and stop together.
/// </summary>
internal sealed partial class StallWatch : IDisposable
{
    private const int RoundRobin = 2; // SCHED_RR (sched(7))
    private readonly Thread thread;
    private volatile bool ended;
    private long longestTicks;

    public StallWatch()
    {
        thread = new Thread(Watch) { IsBackground = true, Name = "stall watch" };
        thread.Start();
    }

    /// <summary>The longest pause since the last <see cref="Reset"/>.</summary>
    public TimeSpan Longest => TimeSpan.FromSeconds((double)Volatile.Read(ref longestTicks) / Stopwatch.Frequency);

    public void Reset() => Volatile.Write(ref longestTicks, 0);

    public void Dispose()
    {
        ended = true;
        thread.Join();
    }

    private void Watch()
    {
        var priority = 60;
        if (SetScheduler(0, RoundRobin, ref priority) != 0) throw new InvalidOperationException($"no real-time priority (errno {Marshal.GetLastPInvokeError()}); the lab needs root");
        for (var last = Stopwatch.GetTimestamp(); !ended;)
        {
            Thread.Sleep(2);
            var now = Stopwatch.GetTimestamp();
            if (now - last > Volatile.Read(ref longestTicks)) Volatile.Write(ref longestTicks, now - last);
            last = now;
        }
    }

    [LibraryImport("libc", EntryPoint = "sched_setscheduler", SetLastError = true)]
    private static partial int SetScheduler(int thread, int policy, ref int priority);
}

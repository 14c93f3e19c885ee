using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Notices when this machine itself stands still (a hypervisor that gives the processor to others): on each processor a thread
/// of real-time priority that wants to run every 2 ms and could not. What a cluster does during such a pause says nothing about
/// it: all nodes of a lab share the one machine, and one processor that stops is half of their guards. Several short pauses
/// in a row are as bad as a long one, so what counts is their sum within a detection time.
/// </summary>
internal sealed partial class StallWatch : IDisposable
{
    private const int RoundRobin = 2; // SCHED_RR (sched(7))
    private const int LongestMask = 128; // bytes: 1024 processors, as glibc's cpu_set_t
    private static readonly long window = Stopwatch.Frequency * 150 / 1000;
    // What a thread of this priority is late by also on a machine at rest.
    private static readonly long usual = Stopwatch.Frequency * 5 / 1000;
    private readonly List<Thread> threads = [];
    private volatile bool ended;
    private long worstTicks;

    public StallWatch()
    {
        for (var processor = 0; processor < Environment.ProcessorCount; processor++)
        {
            var own = processor;
            var thread = new Thread(() => Watch(own)) { IsBackground = true, Name = $"stall watch {own}" };
            threads.Add(thread);
            thread.Start();
        }
    }

    /// <summary>The greatest sum of one processor's pauses within 150 ms (a longer pause counts whole) since the last <see cref="Reset"/>.</summary>
    public TimeSpan Worst => TimeSpan.FromSeconds((double)Volatile.Read(ref worstTicks) / Stopwatch.Frequency);

    public void Reset() => Volatile.Write(ref worstTicks, 0);

    public void Dispose()
    {
        ended = true;
        threads.ForEach(thread => thread.Join());
    }

    private void Watch(int processor)
    {
        var mask = new byte[LongestMask];
        mask[processor / 8] = (byte)(1 << processor % 8);
        // A processor that this process may not use stands still for nobody here.
        if (SetAffinity(0, LongestMask, mask) != 0) return;
        var priority = 60;
        if (SetScheduler(0, RoundRobin, ref priority) != 0) throw new InvalidOperationException($"no real-time priority (errno {Marshal.GetLastPInvokeError()}); the lab needs root");
        Queue<(long End, long Pause)> pauses = new();
        for (var last = Stopwatch.GetTimestamp(); !ended;)
        {
            Thread.Sleep(2);
            var now = Stopwatch.GetTimestamp();
            if (now - last > usual)
            {
                pauses.Enqueue((now, now - last));
                while (now - pauses.Peek().End > window) pauses.Dequeue();
                Raise(pauses.Sum(pause => pause.Pause));
            }
            last = now;
        }
    }

    private void Raise(long ticks)
    {
        for (var worst = Volatile.Read(ref worstTicks); ticks > worst;)
        {
            var seen = Interlocked.CompareExchange(ref worstTicks, ticks, worst);
            if (seen == worst) return;
            worst = seen;
        }
    }

    [LibraryImport("libc", EntryPoint = "sched_setscheduler", SetLastError = true)]
    private static partial int SetScheduler(int thread, int policy, ref int priority);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity", SetLastError = true)]
    private static partial int SetAffinity(int thread, int bytes, [In] byte[] mask);
}

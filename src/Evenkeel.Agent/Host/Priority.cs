using System.Globalization;
using System.Runtime.InteropServices;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The whole path of a beat runs before the services do: under six busy loops an agent of ordinary priority looks dead to its
/// peers (docs/performance.md). Raised only once this node counts: the compiling and reading of a start would otherwise push
/// aside services that share the processor. Services get the ordinary priority back when the guard starts them.
/// </summary>
internal static partial class Priority
{
    private const int Thread = 0; // PRIO_PROCESS means a thread on Linux (setpriority(2), BUGS)
    // Before services, and not before the kernel's own threads (0): at -15 packets waited 50 ms for ksoftirqd, and peers looked lost.
    private const int Niceness = -5;
    private const int Passes = 5;
    private const int LockWhenTouched = 1 | 2 | 4; // MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT (mlockall(2))

    /// <summary>
    /// Keeps this process's memory out of swap and its program out of reach of page reclaim: a beat must not wait for a busy
    /// disk. Not permitted to everybody; without it only that protection is missing.
    /// </summary>
    public static void LockMemory() => _ = LockAll(LockWhenTouched);

    /// <summary>
    /// Raises every thread of a process; threads that they start later inherit it. Also the runtime's thread that compiles again what is
    /// hot: it holds locks and stops the others for moments, which are long when busy loops keep it from the processor.
    /// </summary>
    /// <param name="process">Its id.</param>
    /// <param name="log">Hears when this is not permitted.</param>
    public static void Raise(int process, Action<string> log)
    {
        // A thread may start another one while we go through the list: again until one pass finds nothing new.
        var raised = new HashSet<int>();
        for (var pass = 0; pass < Passes; pass++)
        {
            var before = raised.Count;
            foreach (var thread in Threads(process).Where(thread => !raised.Contains(thread)))
            {
                if (SetPriority(Thread, thread, Niceness) != 0)
                {
                    if (Marshal.GetLastPInvokeError() is 3)
                    {
                        continue; // ESRCH: it ended
                    }

                    log("the agent runs with ordinary priority (CAP_SYS_NICE is missing): a busy machine may look like a lost one");
                    return;
                }

                raised.Add(thread);
            }

            if (raised.Count == before)
            {
                return;
            }
        }
    }

    private static int[] Threads(int process)
    {
        try
        {
            return [.. Directory.EnumerateDirectories($"/proc/{process}/task").Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture))];
        }
        catch (IOException)
        {
            return []; // it ended
        }
    }

    [LibraryImport("libc", EntryPoint = "mlockall", SetLastError = true)]
    private static partial int LockAll(int flags);

    [LibraryImport("libc", EntryPoint = "setpriority", SetLastError = true)]
    private static partial int SetPriority(int which, int who, int priority);
}

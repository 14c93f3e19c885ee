using System.Runtime.InteropServices;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The whole path of a beat runs before the services do: under six busy loops an agent of ordinary priority looks dead to its
/// peers (docs/performance.md). Services get the ordinary priority back when the guard starts them.
/// </summary>
internal static partial class Priority
{
    private const int Process = 0;
    private const int Niceness = -15;

    public static void Raise(Action<string> log)
    {
        // The calling thread and all that it starts from now on: called before any other thread matters.
        if (SetPriority(Process, 0, Niceness) != 0)
        {
            log("the agent runs with ordinary priority (CAP_SYS_NICE is missing): a busy machine may look like a lost one");
        }
    }

    [LibraryImport("libc", EntryPoint = "setpriority", SetLastError = true)]
    private static partial int SetPriority(int which, int who, int priority);
}

using System.Runtime.InteropServices;

namespace Evenkeel.Agent.Local;

/// <summary>Signals to a process by its id (kill(2)).</summary>
public static partial class Signals
{
    public const int HangUp = 1;
    public const int Terminate = 15;
    public const int Kill = 9;
    public const int Stop = 19;
    public const int Continue = 18;

    /// <returns>False when there is no such process any more.</returns>
    public static bool Send(int process, int signal) => process > 1 && KillProcess(process, signal) == 0;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int KillProcess(int process, int signal);
}

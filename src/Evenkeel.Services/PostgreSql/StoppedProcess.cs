using Evenkeel.Services.Process;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// A stopped main process (SIGSTOP, a debugger) lets the sessions that it has go on, unless they are stopped too, and everybody
/// else hang; it takes no signal but the last.
/// </summary>
internal static class StoppedProcess
{
    /// <summary>By its state in proc(5): T or t. False when it has ended: the guard says so.</summary>
    public static bool Is(int process) => ProcessStates.Of(process) is 'T' or 't';

    /// <summary>By a signal; not by a debugger, which will let it go on.</summary>
    public static bool IsBySignal(int process) => ProcessStates.Of(process) is 'T';
}

namespace Evenkeel.Services.Process;

/// <summary>
/// In words why a service is stuck. What waits in the kernel for something that does not answer (a disk, a network file system: state D of
/// proc(5)) takes SIGKILL only when that wait is over, and what it asked for may be done at any moment until then.
/// </summary>
internal static class UnkillableProcess
{
    /// <summary>Its main process has ended, and others of it have not.</summary>
    public const string Left = "processes of it were killed and have not ended: they wait for a disk or a file system that does not answer";

    public static string Main(int process) =>
        $"it did not end even when killed{(ProcessStates.Of(process) is 'D' ? $": process {process} waits for a disk or a file system that does not answer" : "")}";
}

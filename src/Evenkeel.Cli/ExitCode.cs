namespace Evenkeel.Cli;

/// <summary>What the process's exit code says; documented for scripts in docs/operations/exit-codes.md.</summary>
public static class ExitCode
{
    public const int Success = 0;
    /// <summary>It was tried and did not work: no cluster found, no connection, a goal missed.</summary>
    public const int Failed = 1;
    /// <summary>The command line makes no sense.</summary>
    public const int Usage = 2;
    /// <summary>The cluster file has errors.</summary>
    public const int Configuration = 3;
    /// <summary>The cluster understood and said no, so that nothing breaks.</summary>
    public const int Refused = 4;
    /// <summary>The cluster's state is of a later version than this program's: the agent decides nothing.</summary>
    public const int TooOld = 5;
    /// <summary>Interrupted (Ctrl-C): 128 + SIGINT, as shells have it.</summary>
    public const int Interrupted = 130;
}

using Evenkeel.Core.Model;

namespace Evenkeel.Services.Ocf.Agents;

/// <summary>Exit codes of resource agents (Open Cluster Framework resource agent API 1.1, section 4).</summary>
public static class OcfExit
{
    public const int Success = 0, Generic = 1, Arguments = 2, Unimplemented = 3, Permission = 4, NotInstalled = 5, NotConfigured = 6,
        NotRunning = 7, RunningPromoted = 8, FailedPromoted = 9, Degraded = 190, DegradedPromoted = 191;

    /// <summary>It runs, perhaps degraded, in either role.</summary>
    public static bool Runs(int code) => code is Success or RunningPromoted or Degraded or DegradedPromoted;

    public static bool Promoted(int code) => code is RunningPromoted or DegradedPromoted;

    /// <summary>Another try on this node gives the same answer, until somebody changes something.</summary>
    public static bool IsPermanent(int code) => code is Arguments or Permission or NotInstalled or NotConfigured;

    /// <summary>Where Pacemaker does not try again after such an answer: a hard error counts for the node, a fatal one for all.</summary>
    public static Ban BanAfter(int code) => code == NotConfigured ? Ban.Everywhere : IsPermanent(code) ? Ban.Here : Ban.None;

    public static string Meaning(int code) => code switch
    {
        Success => "success",
        Generic => "generic error",
        Arguments => "wrong arguments for this node (exit code 2)",
        Unimplemented => "the agent does not have this action (exit code 3)",
        Permission => "no permission (exit code 4)",
        NotInstalled => "what the agent needs is not installed on this node (exit code 5)",
        NotConfigured => "misconfigured (exit code 6): it would fail on every node",
        NotRunning => "it does not run (exit code 7)",
        RunningPromoted => "it runs promoted (exit code 8)",
        FailedPromoted => "it has failed in the promoted role (exit code 9)",
        Degraded => "it runs, but is degraded (exit code 190)",
        DegradedPromoted => "it runs promoted, but is degraded (exit code 191)",
        > 128 and < 128 + 65 => $"ended by signal {code - 128}",
        _ => $"exit code {code}",
    };
}

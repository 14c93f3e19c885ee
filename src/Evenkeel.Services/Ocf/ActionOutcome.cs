using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Agents;

namespace Evenkeel.Services.Ocf;

/// <summary>How an agent's action ended, with the reason that the agent gave.</summary>
/// <param name="Code">The exit code; a time-out and a failure to run count as <see cref="OcfExit.Generic"/>.</param>
internal sealed record ActionOutcome(string Action, int Code, string Reason)
{
    /// <summary>Before a line on standard error that says why (OCF_EXIT_REASON_PREFIX).</summary>
    public const string ReasonPrefix = "ocf-exit-reason:";

    public bool Succeeded => Code == OcfExit.Success;
    public bool IsPermanent => OcfExit.IsPermanent(Code);

    /// <summary>For people: what failed, what that means, and what the agent says.</summary>
    public string Text => Reason.Length == 0 ? $"{Action}: {OcfExit.Meaning(Code)}" : $"{Action}: {OcfExit.Meaning(Code)}: {Reason}";

    /// <summary>As a start's or a promotion's failure: it says whether another try makes sense.</summary>
    public ActionResult Failure => ActionResult.Failure(Text) with { Ban = OcfExit.BanAfter(Code) };

    public static ActionOutcome Of(string action, ActionEnded ended, TimeSpan timeout) =>
        ended.Error is { } error ? new ActionOutcome(action, OcfExit.Generic, error)
        : ended.TimedOut ? new ActionOutcome(action, OcfExit.Generic, $"not done within {timeout.TotalSeconds:0.###} s, and killed")
        : new ActionOutcome(action, ended.ExitCode, ReasonIn(ended));

    // The last reason is the one that led to the exit. Without one, a failed action's last line must do.
    private static string ReasonIn(ActionEnded ended)
    {
        var lines = ended.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (lines.LastOrDefault(line => line.StartsWith(ReasonPrefix, StringComparison.Ordinal)) is { } said)
        {
            return said[ReasonPrefix.Length..].Trim();
        }

        return OcfExit.Runs(ended.ExitCode) || ended.ExitCode == OcfExit.NotRunning ? "" : lines.LastOrDefault() ?? "";
    }
}

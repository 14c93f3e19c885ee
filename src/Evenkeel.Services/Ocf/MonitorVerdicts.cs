using Evenkeel.Services.Ocf.Agents;

namespace Evenkeel.Services.Ocf;

internal enum MonitorStep
{
    Nothing,
    /// <summary>It left the promoted role by itself.</summary>
    NoteDemotion,
    /// <summary>It acts without right.</summary>
    Demote,
    /// <summary>Stop it in order, then start it again.</summary>
    Recover,
}

internal sealed record MonitorVerdict(MonitorStep Step, Core.Model.Health Health, string Detail = "");

/// <summary>What the exit code of a recurring monitor means for an instance that should run in its role.</summary>
internal sealed class MonitorVerdicts
{
    /// <summary>Errors in a row after which it is restarted. The first already makes it unhealthy.</summary>
    private const int MostErrors = 3;
    private int _errors;

    public MonitorVerdict Of(ActionOutcome outcome, ResourceContext resource)
    {
        if (OcfExit.Runs(outcome.Code))
        {
            _errors = 0;
            var promoted = OcfExit.Promoted(outcome.Code);
            if (promoted && !resource.Promoted && resource.Promotable)
            {
                return new MonitorVerdict(MonitorStep.Demote, Core.Model.Health.Unhealthy, "it is promoted without a lease, and is demoted");
            }

            var degraded = outcome.Code is OcfExit.Degraded or OcfExit.DegradedPromoted ? Detail("degraded", outcome.Reason) : "";
            return resource.Promoted && !promoted
                ? new MonitorVerdict(MonitorStep.NoteDemotion, Core.Model.Health.Healthy, "it left the promoted role by itself")
                : new MonitorVerdict(MonitorStep.Nothing, Core.Model.Health.Healthy, degraded);
        }

        if (outcome.Code == OcfExit.NotRunning)
        {
            return new MonitorVerdict(MonitorStep.Recover, Core.Model.Health.Unhealthy, Detail("it stopped by itself", outcome.Reason));
        }

        return outcome.Code == OcfExit.FailedPromoted || outcome.IsPermanent || ++_errors >= MostErrors
            ? new MonitorVerdict(MonitorStep.Recover, Core.Model.Health.Unhealthy, outcome.Text)
            : new MonitorVerdict(MonitorStep.Nothing, Core.Model.Health.Unhealthy, outcome.Text);
    }

    private static string Detail(string what, string reason) => reason.Length == 0 ? what : $"{what}: {reason}";
}

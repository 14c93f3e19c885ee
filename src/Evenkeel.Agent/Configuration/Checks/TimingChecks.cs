using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Times that only make sense together.</summary>
internal static class TimingChecks
{
    public static void All(ClusterSpec spec, Findings findings)
    {
        var timings = spec.Timings;
        AtLeastThreeBeats(timings.Lease, timings.Beat, "timings.lease", findings);
        AtLeastThreeBeats(timings.Detection, timings.Beat, "timings.detection", findings);
        if (timings.AgentAbsence < timings.LoopStall)
            findings.Error("timings.agent_absence", $"{Duration.Format(timings.AgentAbsence)} is shorter than 'loop_stall' ({Duration.Format(timings.LoopStall)})", "Make it longer");
    }

    private static void AtLeastThreeBeats(TimeSpan time, TimeSpan beat, string path, Findings findings)
    {
        if (time < 3 * beat)
            findings.Error(path, $"{Duration.Format(time)} is less than three beats ({Duration.Format(beat)} each): one lost packet would look like a lost node", $"Write at least {Duration.Format(3 * beat)}, or a shorter 'beat'");
    }
}

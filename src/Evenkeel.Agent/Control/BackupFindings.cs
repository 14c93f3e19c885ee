using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>What of the backups somebody should look at.</summary>
internal static class BackupFindings
{
    /// <summary>So long after a moment its backup may begin: others may be at work, a failed one waits half an hour at most.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromHours(1);
    internal const string Alarm = "ALARM: ";

    public static IEnumerable<Finding> Of(BackupReport job, DateTimeOffset now, Func<TimeSpan, string> words)
    {
        var subject = "backup/" + job.Job;
        if (job is { Failures: > 0, Last: { } failed })
            yield return new(Concern.Degraded, "backup-failed", subject,
                $"the {failed.Task.ToString().ToLowerInvariant()} run of backup {job.Job} failed on {failed.Node}{(job.Failures > 1 ? $", {job.Failures} times in a row" : "")}: {failed.Words}",
                $"Mend it; it is tried again by itself, or at once by: evenkeel backup now {job.Job}");
        var age = job.LastGood is { } good ? now - DateTimeOffset.FromUnixTimeSeconds(good.Ended) : (TimeSpan?)null;
        if (job.LongestAge is { } longest && age > longest)
            yield return new(Concern.Degraded, "backup-too-old", subject, $"the last good backup of {job.Job} is {words(age.Value)} old, at most {words(longest)} are allowed", $"See why: evenkeel backup jobs; make one: evenkeel backup now {job.Job}");
        else if (job is { LongestAge: null, Missed: { } missed, Running: null } && now - missed > Patience)
            yield return new(Concern.Degraded, "backup-too-old", subject, $"backup {job.Job} was due {words(now - missed)} ago and has not been made{(age is { } old ? $"; the last good one is {words(old)} old" : "")}",
                $"Is a node there that has {job.Source}? Then: evenkeel backup now {job.Job}");
        foreach (var warning in job.LastGood?.Warnings ?? [])
            yield return warning.StartsWith(Alarm, StringComparison.Ordinal)
                ? new(Concern.Degraded, "backup-alarm", subject, $"the last backup of {job.Job} looks as if something had rewritten the files: {warning[Alarm.Length..]}",
                    $"Was it ransomware? Older snapshots are kept until: evenkeel backup accept {job.LastGood!.Snapshot?[..8]}")
                : new(Concern.Degraded, "backup-incomplete", subject, $"the last backup of {job.Job}: {warning}", "Mend it; the next good backup ends this");
    }
}

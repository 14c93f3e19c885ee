using Evenkeel.Agent.Control;
using Evenkeel.Core.Backups;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Backups;

/// <summary>The backup jobs as the committed state has them, in the control API's words. Pure.</summary>
internal static class BackupReading
{
    public static IReadOnlyList<BackupReport> Of(ClusterSpec? spec, ClusterState state, DateTimeOffset now) =>
        spec is null ? [] : [.. BackupJobs.Of(spec).OrderBy(job => job.Key, StringComparer.Ordinal).Select(job => One(job, state.Backups.GetValueOrDefault(job.Key).Value, now))];

    private static BackupReport One(BackupJob job, BackupRecord? record, DateTimeOffset now)
    {
        var next = BackupCalendar.Next(job.Spec, now);
        var missed = record is null ? [] : BackupCalendar.Due(job, record, now).Where(due => due.Task <= BackupTask.Independent).ToList();
        return new BackupReport(job.Key, SourceOf(job), job.Spec.Repository.Location)
        {
            Running = record?.Running,
            Last = record?.Last,
            LastGood = record?.LastGood,
            Failures = record?.Failures ?? 0,
            NotBefore = record is { NotBefore: > 0 } ? DateTimeOffset.FromUnixTimeSeconds(record.NotBefore) : null,
            NextTask = next?.Task,
            Next = next?.Moment,
            Missed = missed.Count == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(missed.Min(due => due.Moment)),
            LongestAge = job.Spec.LongestAge,
        };
    }

    private static string SourceOf(BackupJob job) => string.Join(", ",
        (job.Spec.Service is { } service ? [$"service {service}"] : Array.Empty<string>()).Concat(job.Spec.Paths).Concat(job.Spec.State ? ["the cluster's state"] : []));
}

using Evenkeel.Backup.Policy;
using Evenkeel.Core.Backups;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Backups;

/// <summary>What of a job is due, and what comes next: its schedules against its record. Pure.</summary>
public static class BackupCalendar
{
    /// <summary>A schedule that fires each minute is not followed further back than this; the latest passed moment is all that is wanted.</summary>
    private static readonly TimeSpan[] s_looks = [TimeSpan.FromHours(2), TimeSpan.FromDays(2), TimeSpan.FromDays(40), TimeSpan.FromDays(400), TimeSpan.FromDays(4000)];

    /// <summary>
    /// For each task whose schedule has a moment after what is done and not after <paramref name="now"/>: the latest such moment.
    /// However many were missed, it is one.
    /// </summary>
    public static IEnumerable<DueBackup> Due(BackupJob job, BackupRecord record, DateTimeOffset now) =>
        from schedule in job.Spec.Schedules
        let moment = LatestPassed(schedule.Value, job.Spec.TimeZone, DateTimeOffset.FromUnixTimeSeconds(record.DoneUntil(schedule.Key)), now)
        where moment is not null
        select new DueBackup(job.Key, schedule.Key, moment.Value.ToUnixTimeSeconds());

    /// <summary>The first moment after <paramref name="now"/> at which the job backs something up; null when there is none.</summary>
    public static (BackupTask Task, DateTimeOffset Moment)? Next(BackupSpec job, DateTimeOffset now) =>
        (from schedule in job.Schedules
         where schedule.Key <= BackupTask.Independent
         let moment = Parse(schedule.Value)?.Next(now, Zone(job.TimeZone))
         where moment is not null
         orderby moment, schedule.Key
         select ((BackupTask, DateTimeOffset)?)(schedule.Key, moment.Value)).FirstOrDefault();

    private static DateTimeOffset? LatestPassed(string text, string zone, DateTimeOffset after, DateTimeOffset now)
    {
        if (Parse(text) is not { } schedule || after >= now)
            return null;
        // Near the present first: years of missed minutes are not counted one by one.
        foreach (var look in s_looks)
        {
            var from = now - look > after ? now - look : after;
            DateTimeOffset? latest = null;
            while (schedule.Next(latest ?? from, Zone(zone)) is { } next && next <= now)
                latest = next;
            if (latest is not null || from == after)
                return latest;
        }
        return null;
    }

    private static TimeZoneInfo Zone(string id) => TimeZoneInfo.TryFindSystemTimeZoneById(id, out var zone) ? zone : TimeZoneInfo.Utc;

    // What the file says was checked; a later program's words are not ours to judge.
    private static Schedule? Parse(string text)
    {
        try
        {
            return Schedule.Parse(text);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}

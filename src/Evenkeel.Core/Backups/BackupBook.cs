using Evenkeel.Core.Model;

namespace Evenkeel.Core.Backups;

/// <summary>How a job's record goes on: pure steps from one committed record to the next.</summary>
public static class BackupBook
{
    private static readonly TimeSpan firstPause = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan longestPause = TimeSpan.FromMinutes(30);
    // Schedules are in minutes; a clock that is further back than this was set.
    private const long ClockTolerance = 3600;

    /// <summary>A node gets the job.</summary>
    public static BackupRecord Give(BackupRecord record, NodeName node, ulong session, BackupTask task, long moment, long now) => record with
    {
        Number = record.Number + 1,
        Running = new BackupRun(node, session, record.Number + 1, task, moment, now) { Asked = record.Wished == task },
        Wished = record.Wished == task ? null : record.Wished,
    };

    /// <summary>
    /// The run ended. A good one fulfils what its own schedule and those of the weaker types asked for before it began: after a
    /// full backup nobody misses the differential one of the same night. A failed one is tried again, after a pause that doubles.
    /// </summary>
    public static BackupRecord End(BackupRecord record, BackupRun run, BackupResult result)
    {
        var ended = record with { Running = null, Last = result };
        if (!result.Good)
            return ended with { Wished = record.Wished ?? (run.Asked ? run.Task : null), Failures = record.Failures + 1, NotBefore = result.Ended + (long)Pause(record.Failures).TotalSeconds };
        var done = record.Done;
        for (var task = run.Task; task <= (run.Task <= BackupTask.Incremental ? BackupTask.Incremental : run.Task); task++)
            done = done.SetItem(task, Math.Max(Math.Max(run.Moment, run.Started), done.GetValueOrDefault(task)));
        return ended with { Done = done, Failures = 0, NotBefore = 0, LastGood = run.Task <= BackupTask.Independent ? result : record.LastGood };
    }

    /// <summary>
    /// After the wall clock was set back, what lies in its future would keep the job from running until then: it counts from now.
    /// Null when nothing does.
    /// </summary>
    public static BackupRecord? Rewind(BackupRecord record, long now)
    {
        var limit = now + ClockTolerance;
        if (record.Since <= limit && record.Done.Values.All(moment => moment <= limit) && record.NotBefore <= limit) return null;
        return record with
        {
            Since = Math.Min(record.Since, now),
            Done = record.Done.ToDictionary(pair => pair.Key, pair => Math.Min(pair.Value, now)).Aggregate(record.Done, (done, pair) => done.SetItem(pair.Key, pair.Value)),
            NotBefore = Math.Min(record.NotBefore, now),
        };
    }

    private static TimeSpan Pause(int failures)
    {
        var pause = firstPause;
        for (var i = 0; i < failures && pause < longestPause; i++) pause *= 2;
        return pause < longestPause ? pause : longestPause;
    }
}

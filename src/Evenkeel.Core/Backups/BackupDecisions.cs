using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Backups;

/// <summary>A task of a job whose time has come, as the host's calendar tells it: calendars and time zones are not decided on here.</summary>
/// <param name="Job">The job's key.</param>
/// <param name="Moment">The latest scheduled moment that has passed, in seconds since 1970.</param>
public sealed record DueBackup(string Job, BackupTask Task, long Moment);

/// <summary>
/// The controller's decisions on backups: who does what is due, one node a job, one job a node, a repository and a service, so
/// that neither disks nor locks are fought over. What was missed while the cluster was down is due once, not once for each time.
/// </summary>
public sealed class BackupDecisions(Knowledge known)
{
    // A node that is cut off ends its runs after LongestSolitude (BackupSide); this is longer, by more than the drift of clocks.
    private static readonly TimeSpan patience = 2 * BackupSide.LongestSolitude;

    public void Decide(DecisionBatch batch)
    {
        var (spec, now) = (known.Spec!, known.Own.WallClock);
        if (now == 0) return;
        var jobs = BackupJobs.Of(spec).ToDictionary(job => job.Key, StringComparer.Ordinal);
        foreach (var (key, record) in known.State.Backups)
            if (!jobs.ContainsKey(key) && (record.Value.Running is not { } run || IsGone(record.Value, run) is not null || !known.IsAlive(run.Node))) batch.Delete(record);
        var busy = new BusyBackups(known, jobs);
        foreach (var job in jobs.Values)
        {
            if (batch.IsFull) return;
            if (!known.State.Backups.TryGetValue(job.Key, out var versioned))
            {
                batch.Put(new BackupRecord(job.Key, known.State.Incarnation) { Since = now }, null);
                continue;
            }
            Decide(job, versioned.Value, busy, now, batch);
        }
    }

    private void Decide(BackupJob job, BackupRecord record, BusyBackups busy, long now, DecisionBatch batch)
    {
        if (record.Running is { } run)
        {
            if ((IsGone(record, run) ?? Overran(job, run, now)) is not { } why) return;
            var ended = BackupBook.End(record, run, new BackupResult(run.Task, run.Node, now, false, why));
            batch.Put(ended with { Incarnation = known.State.Incarnation }, $"{job.Key}: {why}");
            return;
        }
        if (record.Incarnation != known.State.Incarnation) batch.Put(record with { Incarnation = known.State.Incarnation }, null);
        else if (BackupBook.Rewind(record, now) is { } rewound) batch.Put(rewound, null);
        else if (Due(job, record, now) is var (task, moment)
            && !busy.Holds(job) && BackupChoice.Choose(known, job, busy.Nodes, record is { Failures: > 0, Last: { } last } ? last.Node : null) is { } node)
        {
            busy.Add(job, node);
            batch.Put(BackupBook.Give(record, node, SessionOf(node), task, moment, now), $"{job.Key}: {node} makes the {task.ToString().ToLowerInvariant()} backup", node);
        }
    }

    private (BackupTask Task, long Moment)? Due(BackupJob job, BackupRecord record, long now)
    {
        if (now < record.NotBefore) return null;
        if (record.Wished is { } wished) return (wished, now);
        return known.DueBackups.Where(due => due.Job == job.Key && due.Moment > record.DoneUntil(due.Task) && due.Moment <= now && job.Spec.Schedules.ContainsKey(due.Task))
            .OrderBy(due => due.Task).Select(due => ((BackupTask, long)?)(due.Task, due.Moment)).FirstOrDefault();
    }

    private ulong SessionOf(NodeName node) => node == known.Self ? known.Peers.Session : known.Peers.Find(node)?.Last?.Session ?? 0;

    // Its node ends it by itself; one whose program knows nothing of backups never began.
    private static string? Overran(BackupJob job, BackupRun run, long now) =>
        now - run.Started > (job.Spec.TimeLimit + TimeSpan.FromMinutes(10)).TotalSeconds ? $"{run.Node} did not end it in time" : null;

    /// <summary>Why the run surely does not go on; null when it may.</summary>
    private string? IsGone(BackupRecord record, BackupRun run)
    {
        if (record.Incarnation != known.State.Incarnation) return "the coordination store was restored meanwhile";
        if (!known.Spec!.Nodes.ContainsKey(run.Node)) return $"{run.Node} left the cluster";
        if (known.IsAlive(run.Node)) return SessionOf(run.Node) == run.Session ? null : $"the agent of {run.Node} was restarted meanwhile";
        return known.Awake - (known.Peers.Find(run.Node)?.Since ?? TimeSpan.Zero) > (known.Rules.BackupOutlivesSilence ? patience : TimeSpan.Zero) ? $"{run.Node} was lost meanwhile" : null;
    }
}

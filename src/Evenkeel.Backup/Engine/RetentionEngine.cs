using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>Decides which snapshots a repository keeps, and removes the others. Data stays until a prune. The caller holds an exclusive lock to remove.</summary>
public sealed class RetentionEngine(ResticRepository repository)
{
    /// <summary>The decision on every snapshot that <paramref name="concerns"/> (null: on all), each machine and set of paths apart; then on the log that
    /// base backups need.</summary>
    public async Task<IReadOnlyList<RetentionDecision>> DecideAsync(RetentionPolicy policy, Func<Snapshot, bool>? concerns, CancellationToken cancellation)
    {
        var all = await repository.LoadSnapshotsAsync(cancellation).ConfigureAwait(false);
        var snapshots = all.Where(s => concerns?.Invoke(s) ?? true).ToList();
        var log = snapshots.Where(s => PostgresTags.SegmentOf(s) is not null).ToList();
        var decisions = SnapshotSeries.Split(snapshots.Except(log))
            .SelectMany(series => AnomalyAlarm.Hold(policy.Decide(series), AnomalyAlarm.Find(series))).ToList();
        // Base backups that are not decided on here need their log too.
        var bases = decisions.Concat(all.Except(snapshots).Where(s => PostgresTags.StartOf(s) is not null).Select(s => new RetentionDecision(s, ["not decided on"]))).ToList();
        decisions.AddRange(PostgresTags.Decide(log, bases));
        return decisions;
    }

    /// <summary>Removes what no rule keeps; how many.</summary>
    public async Task<int> RemoveAsync(IEnumerable<RetentionDecision> decisions, CancellationToken cancellation)
    {
        var removed = 0;
        foreach (var decision in decisions.Where(d => !d.Keep))
        {
            await repository.Backend.DeleteAsync(FileKind.Snapshot, decision.Snapshot.Id.ToString(), cancellation).ConfigureAwait(false);
            removed++;
        }
        return removed;
    }
}

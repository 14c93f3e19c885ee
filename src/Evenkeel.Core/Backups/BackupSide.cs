using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Backups;

/// <summary>An agent's own transaction: what came of a run.</summary>
public sealed record BackupProposal(BackupRecord Record) : Proposal;

/// <summary>
/// A node's part in backups: starts what was committed to it and to this run of its agent, ends what no longer is, and commits
/// what came of it.
/// </summary>
public sealed class BackupSide(Knowledge known, CommitDesk desk)
{
    /// <summary>A node that does not reach the store for this long ends its runs: somebody else may have got the job.</summary>
    public static readonly TimeSpan LongestSolitude = TimeSpan.FromSeconds(30);

    private sealed class Attempt(Epoch run)
    {
        public Epoch Run => run;
        public bool Stopped;
        public BackupResult? Result;
    }

    private readonly SortedDictionary<string, Attempt> attempts = new(StringComparer.Ordinal);
    // The last run that was begun here, so that none is begun twice.
    private readonly Dictionary<string, Epoch> begun = new(StringComparer.Ordinal);
    private TimeSpan? aloneSince;

    public void OnTick(StateCodec codec)
    {
        if (!known.HasState) return;
        aloneSince = known.StoreReachable ? null : aloneSince ?? known.Awake;
        foreach (var (job, attempt) in attempts.ToList())
        {
            if (attempt.Result is { } result) Tell(codec, job, attempt, result);
            else if (!attempt.Stopped && WhyStop(job, attempt) is { } why)
            {
                attempt.Stopped = true;
                known.Add(new StopBackup(job, attempt.Run.Number, why));
            }
        }
        foreach (var (job, record) in known.State.Backups)
            if (record.Value.Running is { } run && IsMine(record.Value, run) && known.StoreReachable && !attempts.ContainsKey(job) && RunOf(record.Value) > begun.GetValueOrDefault(job)) Begin(record.Value, run);
    }

    public void OnEnded(BackupEnded ended)
    {
        if (attempts.TryGetValue(ended.Job, out var attempt) && attempt.Run.Number == ended.Number) attempt.Result = ended.Result;
    }

    public void OnDecided(BackupProposal proposal, CommitResult result)
    {
        if (result.Outcome != CommitOutcome.Committed || proposal.Record.Last is not { } last) return;
        // A late answer must not take the next run for the one that it ended.
        if (attempts.TryGetValue(proposal.Record.Job, out var attempt) && attempt.Run == RunOf(proposal.Record)) attempts.Remove(proposal.Record.Job);
        known.Announce(last.Good ? AnnouncementKind.BackupDone : AnnouncementKind.BackupFailed, $"{proposal.Record.Job}, {last.Task.ToString().ToLowerInvariant()}: {last.Words}", node: known.Self);
    }

    private void Begin(BackupRecord record, BackupRun run)
    {
        var job = record.Job;
        begun[job] = RunOf(record);
        if (known.Spec is not { } spec || BackupJobs.Find(spec, job) is not { } found) return;
        attempts[job] = new Attempt(RunOf(record));
        known.Announce(AnnouncementKind.BackupStarted, $"{job}, {run.Task.ToString().ToLowerInvariant()}", node: known.Self);
        known.Add(new RunBackup(job, run.Number, run.Task, found.Spec, found.Spec.Service is { } service ? spec.Services.GetValueOrDefault(service) : null));
    }

    private string? WhyStop(string job, Attempt attempt)
    {
        if (aloneSince is { } since && known.Awake - since > LongestSolitude) return "this node does not reach the coordination store";
        return known.State.Backups.TryGetValue(job, out var record) && record.Value.Running is { } run && RunOf(record.Value) == attempt.Run && IsMine(record.Value, run)
            ? known.Spec is { } spec && BackupJobs.Find(spec, job) is null ? "the job left the cluster's file" : null
            : "the job is another node's now";
    }

    // Its number alone names no run: a restored store counts on from an older one, in a new incarnation.
    private static Epoch RunOf(BackupRecord record) => new(record.Incarnation, record.Number);

    private bool IsMine(BackupRecord record, BackupRun run) =>
        run.Node == known.Self && run.Session == known.Peers.Session && record.Incarnation == known.State.Incarnation;

    private void Tell(StateCodec codec, string job, Attempt attempt, BackupResult result)
    {
        if (!known.State.Backups.TryGetValue(job, out var record) || record.Value.Running is not { } run || RunOf(record.Value) != attempt.Run || !IsMine(record.Value, run))
        {
            attempts.Remove(job);
            return;
        }
        if (!desk.MayPropose || !known.StoreReachable) return;
        var ended = BackupBook.End(record.Value, run, result);
        desk.Propose(new BackupProposal(ended), [new(codec.Keys.Backup(job), record.Revision), new(codec.Keys.Incarnation, known.State.IncarnationRevision)], [codec.Put(ended)]);
    }
}

using System.Collections.Immutable;

namespace Evenkeel.Core.Model;

/// <summary>
/// What is committed about one backup job: which node is at it now, and what came of earlier runs. It is what keeps two nodes
/// from doing one job at once. Times are seconds since 1970 by the wall clock of the node that wrote them.
/// </summary>
/// <param name="Job">The job's key: its name, or <c>NAME.NODE</c> where each node backs up for itself.</param>
/// <param name="Incarnation">Of the store; a record of before a restore names nobody that is at it.</param>
public sealed record BackupRecord(string Job, int Incarnation)
{
    /// <summary>Moments up to this one are nobody's: the job was not in the file yet.</summary>
    public long Since { get; init; }
    /// <summary>Up to which moment each task's schedule is fulfilled.</summary>
    public ImmutableSortedDictionary<BackupTask, long> Done { get; set; } = ImmutableSortedDictionary<BackupTask, long>.Empty;
    /// <summary>Who is at it; null while nobody is.</summary>
    public BackupRun? Running { get; init; }
    /// <summary>Of the last run that ended, good or not.</summary>
    public BackupResult? Last { get; init; }
    /// <summary>Of the last backup that was good.</summary>
    public BackupResult? LastGood { get; init; }
    /// <summary>Failed runs since the last good one.</summary>
    public int Failures { get; init; }
    /// <summary>Not tried again before.</summary>
    public long NotBefore { get; init; }
    /// <summary>What an operator asked for; done at once, and again when it failed.</summary>
    public BackupTask? Wished { get; init; }
    /// <summary>The number of the last run; it only grows.</summary>
    public long Number { get; init; }

    /// <summary>The moment up to which the task is done.</summary>
    public long DoneUntil(BackupTask task) => Math.Max(Since, Done.GetValueOrDefault(task));
}

/// <param name="Session">Of the node's agent: another one does not know of the run.</param>
/// <param name="Moment">The scheduled moment that it fulfils.</param>
/// <param name="Started">When it was given.</param>
public sealed record BackupRun(NodeName Node, ulong Session, long Number, BackupTask Task, long Moment, long Started)
{
    /// <summary>An operator asked for it: no schedule would try it again.</summary>
    public bool Asked { get; init; }
}

/// <summary>What came of a run.</summary>
/// <param name="Ended">When.</param>
/// <param name="Words">What was done, or what failed and what to do.</param>
public sealed record BackupResult(BackupTask Task, NodeName Node, long Ended, bool Good, string Words)
{
    public string? Snapshot { get; init; }
    public double Seconds { get; init; }
    public long Files { get; init; }
    /// <summary>Bytes that were looked at, and bytes that were new, as stored.</summary>
    public long BytesRead { get; init; }
    public long BytesStored { get; init; }
    /// <summary>What is to be looked at although it was good: files left out, an alarm.</summary>
    public IReadOnlyList<string> Warnings { get; set; } = [];
}

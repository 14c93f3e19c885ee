namespace Evenkeel.Core.Loop.Replication;

/// <summary>How far behind a replica is: bytes of the log, transactions that wrote (null: not known), and the age of the oldest write that it lacks.</summary>
public readonly record struct ReplicaLag(long Bytes, long? Transactions, TimeSpan Age);

/// <summary>
/// When the active instance's log had come how far, as this agent heard it: no clock of another node takes part. The past is kept
/// the coarser the longer it is ago.
/// </summary>
public sealed class PositionHistory
{
    /// <summary>Log that was written within this time counts as of one moment.</summary>
    public static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);
    private const int Most = 1024;

    private readonly List<Mark> marks = [];

    /// <param name="At">When the log was first seen to be longer than the mark before.</param>
    private readonly record struct Mark(TimeSpan At, long Position, long Transactions);

    public void Add(TimeSpan now, long position, long transactions)
    {
        if (marks.Count > 0 && position <= marks[^1].Position) return;
        if (marks.Count > 0 && now - marks[^1].At < Step) marks[^1] = marks[^1] with { Position = position, Transactions = transactions };
        else marks.Add(new Mark(now, position, transactions));
        if (marks.Count > Most) Thin();
    }

    /// <summary>Null before anything was heard. Of what is older than the history, the age is the least that it can be.</summary>
    public ReplicaLag? Of(long position, TimeSpan now)
    {
        if (marks.Count == 0) return null;
        var front = marks[^1];
        if (position >= front.Position) return new ReplicaLag(0, front.Transactions > 0 ? 0 : null, TimeSpan.Zero);
        var lacks = marks.FindIndex(mark => mark.Position > position);
        var has = lacks > 0 ? marks[lacks - 1].Transactions : marks[lacks].Transactions;
        return new ReplicaLag(front.Position - position, front.Transactions > 0 && lacks > 0 ? front.Transactions - has : null, now - marks[lacks].At);
    }

    // Of the older half, two marks become one: rather an age too great than one too small.
    private void Thin()
    {
        var older = marks[..(Most / 2)];
        marks.RemoveRange(0, Most / 2);
        marks.InsertRange(0, older.Chunk(2).Select(static pair => pair[1] with { At = pair[0].At }));
    }
}

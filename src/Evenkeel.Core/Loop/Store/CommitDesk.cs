using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Store;

/// <summary>What a transaction is for; handed back with its outcome.</summary>
public abstract record Proposal;

/// <summary>
/// The loop's own transactions, one at a time. An unknown outcome is asked for again under the same request id until it is
/// known (safety rule 1): deciding anew before would decide twice. After a commit the next decision waits until the copy of
/// the state shows it; after a conflict, until the copy has moved.
/// </summary>
public sealed class CommitDesk(Knowledge known, RequestIds ids)
{
    private static readonly TimeSpan retry = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan pauseAfterRefusal = TimeSpan.FromMilliseconds(100);
    // A watch that is this late is stuck: read everything again.
    private static readonly TimeSpan stuckCopy = TimeSpan.FromMilliseconds(300);
    // A store that has not answered for this long counts as lost for the controller's role.
    private static readonly TimeSpan slowAnswer = TimeSpan.FromMilliseconds(600);

    private sealed record Open(Transaction Transaction, Proposal Proposal, TimeSpan Since);

    private Open? open;
    private bool underWay;
    private bool doubtful;
    private TimeSpan notBefore;
    private TimeSpan waitingSince;
    private long awaited;
    private long conflictAt = -1;

    /// <summary>No answer for long: whoever relies on this agent's commits should look for another.</summary>
    public bool Stuck => open is not null && known.Awake - open.Since > slowAnswer;

    public bool MayPropose =>
        open is null && known.Awake >= notBefore && known.State.Revision >= awaited
        && (conflictAt < 0 || known.State.Revision > conflictAt || known.Awake - waitingSince > stuckCopy);

    public void Propose(Proposal proposal, IReadOnlyList<Compare> compares, IReadOnlyList<Write> writes)
    {
        open = new Open(new Transaction(ids.Next(), compares, writes), proposal, known.Awake);
        doubtful = false;
        conflictAt = -1;
        Send();
    }

    /// <summary>The proposal that is now decided, or null when it is still open (or was not ours).</summary>
    public Proposal? OnCompleted(CommitCompleted completed)
    {
        if (open is null || open.Transaction.RequestId != completed.RequestId) return null;
        underWay = false;
        var outcome = completed.Result.Outcome;
        // An earlier attempt may still be applied: that this one was not says nothing of it.
        if (known.Rules.ResolveUnknown && (outcome == CommitOutcome.Indeterminate || (outcome == CommitOutcome.Unavailable && doubtful)))
        {
            doubtful = true;
            notBefore = known.Awake + retry;
            return null;
        }
        var proposal = open.Proposal;
        open = null;
        waitingSince = known.Awake;
        if (outcome == CommitOutcome.Committed) awaited = completed.Result.Revision;
        else
        {
            notBefore = known.Awake + pauseAfterRefusal;
            if (outcome == CommitOutcome.Conflict) conflictAt = known.State.Revision;
        }
        return proposal;
    }

    public void OnTick()
    {
        if (open is not null && !underWay && known.Awake >= notBefore) Send();
        if (open is null && (known.State.Revision < awaited || conflictAt == known.State.Revision) && known.Awake - waitingSince > stuckCopy)
        {
            waitingSince = known.Awake;
            known.Add(new RereadStore("the watch does not show what was committed"));
        }
    }

    /// <summary>A restored store counts from an older revision; what was awaited will not come.</summary>
    public void OnRead()
    {
        awaited = 0;
        conflictAt = -1;
    }

    private void Send()
    {
        underWay = true;
        known.Add(new Commit(open!.Transaction));
    }
}

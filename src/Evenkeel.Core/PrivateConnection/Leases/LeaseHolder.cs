using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>
/// One (resource, epoch) on its owner's side: promise → wait → own → ended, never back. It acts only until the deadline that
/// a majority's grants give, each counted from before it was asked for: the voter's own count began later, so a voter never
/// believes a grant over that its owner still uses.
/// </summary>
internal sealed class LeaseHolder(ResourceId resource, Epoch epoch, bool previousFenced, LeaseRules rules)
{
    public enum Stage
    {
        /// <summary>Collects promises and waits until a majority's lower grants have run out.</summary>
        Promise,
        /// <summary>Collects and renews grants; acts while <see cref="Deadline"/> is ahead.</summary>
        Own,
        Ended,
    }

    private readonly Dictionary<NodeName, Instant> _waits = [];
    private readonly Dictionary<NodeName, Instant> _grants = [];

    public ResourceId Resource { get; } = resource;
    public Epoch Epoch { get; } = epoch;
    public Stage Now { get; private set; } = Stage.Promise;

    /// <summary>Until when a majority's grants run; null while there is none.</summary>
    public Instant? Deadline { get; private set; }
    /// <summary>When the wait for lower epochs ends; null while too few have promised.</summary>
    public Instant? WaitEnds { get; private set; }
    /// <summary>Set when a voter said that this epoch is over for good.</summary>
    public string? Refusal { get; private set; }

    public LeaseAsk Ask => new(Resource, Epoch, Now == Stage.Promise ? AskKind.Promise : AskKind.Grant, previousFenced);

    public void Take(NodeName voter, LeaseAnswer answer, Instant askedAt, Instant now, Timings timings, Quorum quorum)
    {
        if (Now == Stage.Ended || answer.Epoch != Epoch) return;
        switch (answer.Kind)
        {
            case AnswerKind.Refused:
                Refusal = answer.Floor > Epoch ? $"{voter} has promised epoch {answer.Floor}" : $"{voter} granted epoch {Epoch} to another session";
                break;
            case AnswerKind.Promised when Now == Stage.Promise:
                // Each answer is a complete promise, so the earliest end counts: a later one may follow a release.
                var end = now + answer.Duration.Lengthened(timings, rules);
                if (!_waits.TryGetValue(voter, out var known) || end.BootNanoseconds < known.BootNanoseconds) _waits[voter] = end;
                Recount(quorum);
                break;
            case AnswerKind.Granted when Now == Stage.Own:
                var until = (rules.CountFromAsking ? askedAt : now) + answer.Duration.Shortened(timings, rules);
                if (!_grants.TryGetValue(voter, out var held) || until.BootNanoseconds > held.BootNanoseconds) _grants[voter] = until;
                Recount(quorum);
                break;
        }
    }

    /// <summary>The voters changed: what former ones gave counts no more.</summary>
    public void Recount(Quorum quorum)
    {
        WaitEnds = quorum.WaitedUntil(_waits);
        Deadline = quorum.HeldUntil(_grants);
    }

    /// <summary>True when the wait is over and grants are to be asked for now.</summary>
    public bool TryBecomeOwner(Instant now)
    {
        if (Now != Stage.Promise || WaitEnds is not { } end || !now.HasWaitedUntil(end)) return false;
        Now = Stage.Own;
        return true;
    }

    public void BecomeEnded()
    {
        Now = Stage.Ended;
        Deadline = null;
    }
}

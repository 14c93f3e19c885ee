using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>
/// One guard's vote: per resource the lowest epoch that it may still grant, and its last grant. All in memory: what a
/// restart forgets is made up for by waiting a lease's length (its grants have run out by then) and by the committed epochs
/// (nobody asked for an epoch before it was committed, so they are no lower than any promise made). Safety rules 4 and 5.
/// </summary>
internal sealed class Voter(Instant startedAt, LeaseRules rules)
{
    private sealed class Entry
    {
        public Epoch Promised;
        public Epoch GrantedEpoch;
        public NodeName GrantedTo;
        public GuardSession GrantedSession;
        /// <summary>Null once released.</summary>
        public Instant? GrantEnds;
    }

    private readonly Dictionary<ResourceId, Entry> _entries = [];
    private Epoch _floor;
    private bool _floorsKnown = !rules.RestartRule;

    /// <summary>Raises what this voter may grant to the committed epochs; never lowers it.</summary>
    public void RaiseFloors(CommittedFloors floors)
    {
        var floor = new Epoch(floors.Incarnation, 0);
        if (floor > _floor) _floor = floor;
        foreach (var (name, epoch) in floors.Epochs) Raise(EntryOf(new ResourceId(name)), epoch);
        _floorsKnown = true;
    }

    /// <summary>Whether a restart's forgetting can do no harm any more (safety rule 5).</summary>
    public bool MayVote(Timings timings, Instant now) =>
        !rules.RestartRule || (_floorsKnown && now.HasWaitedUntil(startedAt + timings.Lease.Lengthened(timings, rules)));

    public LeaseAnswer Answer(NodeName from, GuardSession session, LeaseAsk ask, Timings timings, Instant now)
    {
        if (!MayVote(timings, now)) return new(ask.Resource, ask.Epoch, AnswerKind.NotVoting, TimeSpan.Zero, Epoch.None);
        var entry = EntryOf(ask.Resource);
        var floor = entry.Promised > _floor ? entry.Promised : _floor;
        if (ask.Epoch < floor) return new(ask.Resource, ask.Epoch, AnswerKind.Refused, TimeSpan.Zero, floor);
        // An epoch belongs to one session; a guard that restarted must not go on with its predecessor's.
        if (ask.Epoch == entry.GrantedEpoch && (entry.GrantedTo != from || entry.GrantedSession != session))
            return new(ask.Resource, ask.Epoch, AnswerKind.Refused, TimeSpan.Zero, floor);
        if (rules.Promise) Raise(entry, ask.Epoch);
        return ask.Kind == AskKind.Promise
            ? new(ask.Resource, ask.Epoch, AnswerKind.Promised, RemainingBelow(entry, ask, now), Epoch.None)
            : Grant(entry, from, session, ask, timings, now);
    }

    /// <summary>A lease was given back: nobody need wait for it, and it is never granted again.</summary>
    public void Release(NodeName from, HeldLease released)
    {
        if (!_entries.TryGetValue(released.Resource, out var entry)) return;
        if (!rules.ReleaseNamesEpoch) { entry.GrantEnds = null; return; }
        if (entry.GrantedEpoch == released.Epoch && entry.GrantedTo == from) entry.GrantEnds = null;
        // A request of the released epoch that is still under way must not be granted after its release.
        if (entry.Promised == released.Epoch) Raise(entry, released.Epoch.Next);
    }

    private static LeaseAnswer Grant(Entry entry, NodeName from, GuardSession session, LeaseAsk ask, Timings timings, Instant now)
    {
        entry.GrantedEpoch = ask.Epoch;
        entry.GrantedTo = from;
        entry.GrantedSession = session;
        entry.GrantEnds = now + timings.Lease;
        return new(ask.Resource, ask.Epoch, AnswerKind.Granted, timings.Lease, Epoch.None);
    }

    private TimeSpan RemainingBelow(Entry entry, LeaseAsk ask, Instant now)
    {
        if (!rules.Wait || entry.GrantEnds is not { } ends || entry.GrantedEpoch >= ask.Epoch || now.HasWaitedUntil(ends)) return TimeSpan.Zero;
        // The epochs below the fenced one may have an owner that was never fenced.
        if (ask.PreviousFenced && (!rules.FencingNamesEpoch || entry.GrantedEpoch.Next == ask.Epoch)) return TimeSpan.Zero;
        var left = Math.Max(ends.BootNanoseconds - now.BootNanoseconds, ends.RawNanoseconds - now.RawNanoseconds);
        return TimeSpan.FromTicks(left / 100 + 1);
    }

    private static void Raise(Entry entry, Epoch epoch)
    {
        if (epoch > entry.Promised) entry.Promised = epoch;
    }

    private Entry EntryOf(ResourceId resource)
    {
        if (!_entries.TryGetValue(resource, out var entry)) _entries.Add(resource, entry = new Entry());
        return entry;
    }
}

internal static class DriftExtensions
{
    /// <summary>A wait measured on this clock that is surely as long on any node's.</summary>
    public static TimeSpan Lengthened(this TimeSpan span, Timings timings, LeaseRules rules) =>
        rules.DriftBound ? TimeSpan.FromTicks((long)Math.Ceiling(span.Ticks * (1 + timings.DriftBound))) : span;

    /// <summary>A right measured on this clock that surely ends no later than on any node's.</summary>
    public static TimeSpan Shortened(this TimeSpan span, Timings timings, LeaseRules rules) =>
        rules.DriftBound ? TimeSpan.FromTicks((long)Math.Floor(span.Ticks * (1 - timings.DriftBound))) : span;
}

using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

// What guards say to each other. An owner's beat asks every voter about all its resources in one datagram; a voter answers
// at once, in one datagram. Any of them may be lost, doubled, late or reordered: nothing here relies on order.

/// <summary>One authenticated message between guards; the transport says which node sent it.</summary>
public abstract record GuardDatagram
{
    private protected GuardDatagram(GuardSession sender) => Sender = sender;
    public GuardSession Sender { get; }
}

/// <summary>From an owner (or one who is to become owner) to a voter.</summary>
public sealed record AskDatagram : GuardDatagram
{
    public AskDatagram(GuardSession sender, Instant askedAt, IReadOnlyList<LeaseAsk> asks, IReadOnlyList<HeldLease> releases)
        : base(sender) => (AskedAt, Asks, Releases) = (askedAt, asks, releases);

    /// <summary>The sender's clocks before it asked; the voter returns it unread, and grants run from there.</summary>
    public Instant AskedAt { get; }
    public IReadOnlyList<LeaseAsk> Asks { get; }
    /// <summary>Leases given back, their doors closed. Repeated for one lease length, since a datagram may be lost.</summary>
    public IReadOnlyList<HeldLease> Releases { get; }
}

/// <summary>From a voter, to the session that asked.</summary>
public sealed record AnswerDatagram : GuardDatagram
{
    public AnswerDatagram(GuardSession sender, GuardSession to, Instant askedAt, IReadOnlyList<LeaseAnswer> answers)
        : base(sender) => (To, AskedAt, Answers) = (to, askedAt, answers);

    public GuardSession To { get; }
    /// <summary>The asker's own <see cref="AskDatagram.AskedAt"/>.</summary>
    public Instant AskedAt { get; }
    public IReadOnlyList<LeaseAnswer> Answers { get; }
}

public enum AskKind : byte
{
    /// <summary>Grant no epoch below mine from now on, and say how long your last lower grant still runs.</summary>
    Promise = 1,
    /// <summary>Grant me this epoch (again).</summary>
    Grant = 2,
}

/// <param name="PreviousFenced">The owner of the epoch just below is confirmed off: its grant need not be waited for.</param>
public readonly record struct LeaseAsk(ResourceId Resource, Epoch Epoch, AskKind Kind, bool PreviousFenced);

public enum AnswerKind : byte
{
    /// <summary>Promised; <see cref="LeaseAnswer.Duration"/> is how long the last grant of a lower epoch still runs.</summary>
    Promised = 1,
    /// <summary>Granted for <see cref="LeaseAnswer.Duration"/>.</summary>
    Granted = 2,
    /// <summary>Never: <see cref="LeaseAnswer.Floor"/> is promised to another, or this epoch was granted to another session.</summary>
    Refused = 3,
    /// <summary>This guard does not vote yet (safety rule 5), or not at all.</summary>
    NotVoting = 4,
}

public readonly record struct LeaseAnswer(ResourceId Resource, Epoch Epoch, AnswerKind Kind, TimeSpan Duration, Epoch Floor);

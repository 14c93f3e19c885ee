using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop;

/// <summary>What was last heard from a peer: its agent's run and the beat's sequence number. Liveness is two-way (safety rule 1).</summary>
public readonly record struct Echo(NodeName Peer, ulong Session, long Sequence);

/// <summary>One agent's beat to its peers: I live, this is whom I hear, this is what I see here.</summary>
public sealed record Beat
{
    public required NodeName Sender { get; init; }
    /// <summary>One run of the agent, minted at random.</summary>
    public required ulong Session { get; init; }
    /// <summary>Grows with each beat of the session; older ones that arrive later are dropped.</summary>
    public required long Sequence { get; init; }
    /// <summary>Revision of the committed state that the sender has seen.</summary>
    public long Revision { get; init; }
    public int Incarnation { get; init; }
    /// <summary>The controller that the sender hears, and is heard by; null when it does without. A controller that works names itself.</summary>
    public Controller? Controller { get; init; }
    /// <summary>Only peers heard within the detection time.</summary>
    public IReadOnlyList<Echo> Heard { get; init; } = [];
    public required NodeFacts Facts { get; init; }

    /// <summary>Nothing in it is new but the numbers that every beat counts up.</summary>
    public bool SaysTheSameAs(Beat other) =>
        Session == other.Session && Revision == other.Revision && Incarnation == other.Incarnation && Controller == other.Controller
        && Heard.Select(echo => echo.Peer).SequenceEqual(other.Heard.Select(echo => echo.Peer)) && Facts.SayTheSameAs(other.Facts);
}

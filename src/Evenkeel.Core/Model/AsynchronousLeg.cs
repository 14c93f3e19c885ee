namespace Evenkeel.Core.Model;

/// <summary>What an asynchronous leg has.</summary>
public enum Lag
{
    /// <summary>Nothing is brought to it: it has what the volume was at some moment of the past, longer ago than its backlog reaches.</summary>
    Behind,
    /// <summary>It gets what it lacks, in the order of places and not of time: what it holds meanwhile was the volume at no moment.</summary>
    Syncing,
    /// <summary>It has what the volume was a moment ago, and lacks no more than what is in its backlog.</summary>
    Following,
}

/// <summary>How far an asynchronous leg is, as the volume's writer knows.</summary>
/// <param name="BacklogBytes">Bytes of acknowledged writes that it lacks: exact while it follows, else at least so many.</param>
/// <param name="Age">For how long the oldest of these has been acknowledged; null where this writer does not know.</param>
/// <param name="Held">Nothing is acknowledged that would make it lack more than its backlog.</param>
/// <param name="Detail">Why it is behind, in words.</param>
public sealed record AsynchronousLeg(NodeName Node, Lag Lag, long BacklogBytes, TimeSpan? Age, bool Held, string Detail);

namespace Evenkeel.Core.Model;

/// <summary>What must be sure before another node may have a service whose owner was lost.</summary>
public enum Requirement
{
    /// <summary>That the owner's lease is over: what it ran has ended with it, by its guard.</summary>
    Quorum,
    /// <summary>That the node is cut off: what it runs does not end with a lease (a mount, a systemd unit, a shared disk's writer).</summary>
    Fencing,
}

public enum FencePhase
{
    /// <summary>It shall be cut off; agents try until its device confirms.</summary>
    Asked,
    /// <summary>A device, or an operator, has confirmed it off. It owns nothing until it has come back.</summary>
    Confirmed,
}

/// <summary>Committed: a node that is cut off, or shall be. Deleted when the node has come back, or was heard again before anything was done.</summary>
/// <param name="Number">Of this asking: an answer to an earlier one proves nothing.</param>
/// <param name="Incarnation">In which it was written; after a restore of the store it says nothing.</param>
public sealed record FenceRecord(NodeName Node, long Number, int Incarnation, FencePhase Phase)
{
    /// <summary>Its guard's, when it was asked: another one shows that it has started anew since.</summary>
    public GuardSession Session { get; init; }
    public bool ByOperator { get; init; }
    public string Reason { get; set; } = "";
    /// <summary>Who confirmed it, or why nobody has so far.</summary>
    public string Detail { get; set; } = "";
}

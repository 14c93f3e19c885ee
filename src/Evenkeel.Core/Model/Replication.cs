namespace Evenkeel.Core.Model;

/// <summary>
/// Committed: which nodes surely have every acknowledged write of a replicated service. The owner narrows it before a write
/// that a member lacks is acknowledged, and widens it after a node has everything and each commit waits for it (safety rule 8).
/// </summary>
/// <param name="Epoch">Of the ownership under which it was written.</param>
/// <param name="Members">The owner that wrote it among them.</param>
public sealed record SyncSet(string Service, Epoch Epoch, IReadOnlyList<NodeName> Members)
{
    /// <summary>Names the data itself (PostgreSQL's system identifier): other data never joins. Null while there is none yet.</summary>
    public string? Data { get; init; }
    public string Reason { get; init; } = "";
}

/// <summary>What a node observes about the data of one instance that it runs, or could.</summary>
public sealed record ReplicationFacts
{
    /// <summary>Names the data (PostgreSQL's system identifier); null: there is none here.</summary>
    public string? Data { get; init; }
    /// <summary>Changes with each promotion; of two positions, the one of the later timeline counts.</summary>
    public int Timeline { get; init; }
    /// <summary>A standby: the node that it is told to follow.</summary>
    public NodeName? Upstream { get; init; }
    /// <summary>A standby: it receives what its upstream writes.</summary>
    public bool Streaming { get; init; }
    /// <summary>An active instance: the nodes that it was told to wait for at each commit, in effect now.</summary>
    public IReadOnlyList<NodeName> Required { get; init; } = [];
    /// <summary>An active instance: those of <see cref="Required"/> that have everything acknowledged so far, for good.</summary>
    public IReadOnlyList<NodeName> Synchronous { get; init; } = [];
    /// <summary>An active instance: the nodes that receive from it now.</summary>
    public IReadOnlyList<NodeName> Followers { get; init; } = [];
    /// <summary>An active instance: grows by one with each transaction that wrote. Zero where that is not known.</summary>
    public long Transactions { get; init; }

    public bool Equals(ReplicationFacts? other) => other is not null && Data == other.Data && Timeline == other.Timeline && Upstream == other.Upstream
        && Streaming == other.Streaming && Transactions == other.Transactions && Required.SequenceEqual(other.Required) && Synchronous.SequenceEqual(other.Synchronous) && Followers.SequenceEqual(other.Followers);

    public override int GetHashCode() => HashCode.Combine(Data, Timeline, Upstream, Streaming, Required.Count, Synchronous.Count, Followers.Count);
}

namespace Evenkeel.Core.Model;

/// <summary>
/// Committed: which nodes surely have every acknowledged write of a replicated service. The owner narrows it before a write
/// that a member lacks is acknowledged, and widens it after a node has everything and each commit waits for it (safety rule 8).
/// </summary>
/// <param name="Epoch">Of the ownership under which it was written.</param>
/// <param name="Members">The owner that wrote it first, then the standbys by name.</param>
public sealed record SyncSet(string Service, Epoch Epoch, IReadOnlyList<NodeName> Members)
{
    /// <summary>
    /// On so many of its standbys each acknowledged write surely is, nobody knows on which; null: on every one. With k of n, of any
    /// n - k + 1 standbys one at least has everything: so many must be asked before one is promoted. Format 2 and later.
    /// </summary>
    public int? Any { get; init; }
    /// <summary>The members beside the owner that wrote it.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public IReadOnlyList<NodeName> Standbys => [.. Members.Skip(1)];
    /// <summary>On how many of <see cref="Standbys"/> each acknowledged write is, at least.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int Copies => Math.Min(Any ?? int.MaxValue, Members.Count - 1);
    /// <summary>A standby may lack a write that others have: before one is promoted, others must be asked.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public bool IsQuorum => Copies < Members.Count - 1;
    /// <summary>So many of <see cref="Standbys"/> surely have, between them, every acknowledged write.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int Ask => Members.Count - 1 - Copies + 1;

    /// <summary>Names the data itself (PostgreSQL's system identifier): other data never joins. Null while there is none yet.</summary>
    public string? Data { get; init; }
    /// <summary>
    /// Of a cold service: the latest epoch under which an instance may have acknowledged a write. Data that has not seen it lacks those
    /// writes. Null before the first, and where an agent from before this was said has written.
    /// </summary>
    public Epoch? Wrote { get; set; }
    /// <summary>
    /// Of a volume: nodes whose asynchronous legs lack no more than its backlog. No member; with the loss accepted, one may become the
    /// only one when every member is lost. Null: none. Format 3 and later.
    /// </summary>
    public IReadOnlyList<NodeName>? Following { get; init; }
    public string Reason { get; set; } = "";
}

/// <summary>What a node observes about the data of one instance that it runs, or could.</summary>
public sealed record ReplicationFacts
{
    /// <summary>Names the data (PostgreSQL's system identifier); null: there is none here.</summary>
    public string? Data { get; init; }
    /// <summary>Changes with each promotion; of two positions, the one of the later timeline counts.</summary>
    public int Timeline { get; init; }
    /// <summary>A standby: the node that it is told to follow; also while it may still receive from one that it is no longer to follow.</summary>
    public NodeName? Upstream { get; init; }
    /// <summary>A standby: it receives what its upstream writes.</summary>
    public bool Streaming { get; init; }
    /// <summary>An active instance: the nodes that it was told to wait for at each commit, in effect now.</summary>
    public IReadOnlyList<NodeName> Required { get; set; } = [];
    /// <summary>An active instance: for so many of <see cref="Required"/> each commit waits. Known on its own node alone: it travels with no beat.</summary>
    public int Any { get; init; }
    /// <summary>An active instance: those of <see cref="Required"/> that have everything acknowledged so far; where each commit waits for all, for good.</summary>
    public IReadOnlyList<NodeName> Synchronous { get; set; } = [];
    /// <summary>An active instance: the nodes that receive from it now.</summary>
    public IReadOnlyList<NodeName> Followers { get; set; } = [];
    /// <summary>A volume's writer: how far its asynchronous legs are. Known on its own node alone: it travels with no beat.</summary>
    public IReadOnlyList<AsynchronousLeg> Asynchronous { get; set; } = [];
    /// <summary>An active instance: grows by one with each transaction that wrote. Zero where that is not known.</summary>
    public long Transactions { get; init; }

    public bool Equals(ReplicationFacts? other) => other is not null && Data == other.Data && Timeline == other.Timeline && Upstream == other.Upstream
        && Streaming == other.Streaming && Any == other.Any && Transactions == other.Transactions && Required.SequenceEqual(other.Required) && Synchronous.SequenceEqual(other.Synchronous) && Followers.SequenceEqual(other.Followers)
        && Asynchronous.SequenceEqual(other.Asynchronous);

    public override int GetHashCode() => HashCode.Combine(Data, Timeline, Upstream, Streaming, Required.Count, Synchronous.Count, Followers.Count);
}

namespace Evenkeel.Core.Loop.Ports;

/// <summary>A key's value and the store revision that last changed it.</summary>
public sealed record StoreEntry(string Key, ReadOnlyMemory<byte> Value, long ModRevision);

/// <summary>A consistent reading of all keys under a prefix, at <see cref="Revision"/>.</summary>
public sealed record StoreSnapshot(long Revision, IReadOnlyList<StoreEntry> Entries);

/// <summary>Expects that the key was last changed at <paramref name="ModRevision"/>; 0 expects that it does not exist.</summary>
public readonly record struct Compare(string Key, long ModRevision);

/// <summary>Puts (value given) or deletes (value null) a key.</summary>
public readonly record struct Write(string Key, ReadOnlyMemory<byte>? Value);

/// <summary>
/// All writes happen, atomically, if every compare holds; else none. The request id makes a retry after an unknown outcome
/// safe: a transaction that was applied answers <see cref="CommitOutcome.Committed"/> again, and is not applied twice.
/// At most 128 compares and 128 writes, 1 MiB in all (etcd's limits).
/// </summary>
public sealed record Transaction(Guid RequestId, IReadOnlyList<Compare> Compares, IReadOnlyList<Write> Writes);

public enum CommitOutcome
{
    Committed,
    /// <summary>A compare failed; nothing changed.</summary>
    Conflict,
    /// <summary>Surely not applied, and never will be.</summary>
    Unavailable,
    /// <summary>May have been, or may still be, applied. Resolve it (same request id) before deciding anew.</summary>
    Indeterminate,
}

/// <param name="Outcome">What became of the transaction.</param>
/// <param name="Revision">The store's revision at which it was applied, when committed; else 0.</param>
/// <param name="Reason">For people, when not committed.</param>
public sealed record CommitResult(CommitOutcome Outcome, long Revision, string? Reason = null);

/// <summary>Changes of one revision, in order. <paramref name="Entries"/> hold puts; a deleted key's entry is in <paramref name="Deleted"/>.</summary>
public sealed record WatchBatch(long Revision, IReadOnlyList<StoreEntry> Entries, IReadOnlyList<string> Deleted);

/// <summary>The revision asked for is no longer kept (compacted): read a snapshot and watch from there.</summary>
public sealed class CompactedException(long revision) : Exception($"The store no longer keeps revision {revision}.")
{
    public long Revision { get; } = revision;
}

/// <summary>The store could not be asked (no quorum, no connection, time-out). Reads only; commits answer with an outcome.</summary>
public sealed class StoreUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

public sealed record StoreStatus(bool HasQuorum, string? Leader, long Revision, long SizeBytes, IReadOnlyList<string> Alarms);

/// <summary>
/// The linearizable store of decisions: small, slow, safe. Implementations: the model (simulator), embedded (SQLite),
/// etcd, and the remote client of an embedded one. One conformance suite runs over all.
/// Every call has a deadline of its own (default 2 s) beside the token, and is safe to call concurrently.
/// </summary>
public interface ICoordinationStore : IAsyncDisposable
{
    /// <summary>Linearizable reading of every key that begins with <paramref name="prefix"/>.</summary>
    /// <exception cref="StoreUnavailableException">No answer that is surely current.</exception>
    Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation);

    /// <summary>Never throws for an expected failure: the outcome says what is known.</summary>
    Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation);

    /// <summary>
    /// Every change under <paramref name="prefix"/> after <paramref name="afterRevision"/>, each once, in order, none left out;
    /// may lag without bound. Ends only by the token, or by one of the exceptions below.
    /// </summary>
    /// <exception cref="CompactedException">Changes since then are no longer kept.</exception>
    /// <exception cref="StoreUnavailableException">The connection was lost; watch again from the last revision seen.</exception>
    IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, CancellationToken cancellation);

    Task<StoreStatus> GetStatusAsync(CancellationToken cancellation);
}

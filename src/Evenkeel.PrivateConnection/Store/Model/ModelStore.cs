using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.PrivateConnection.Store.Model;

/// <summary>
/// The port's contract in its simplest form, in memory: what the other implementations are compared with.
/// </summary>
public sealed class ModelStore : ICoordinationStore
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, StoreEntry> _records = new(StringComparer.Ordinal);
    private readonly Dictionary<Guid, CommitResult> _answers = [];
    private readonly WatchHub _watches = new(1);
    private long _revision = 1;

    public Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return Task.FromResult(new StoreSnapshot(
                _revision, [.. _records.Values.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal))]));
        }
    }

    public Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        if (TransactionLimits.WhyNot(transaction) is { } refused)
        {
            return Task.FromResult(new CommitResult(CommitOutcome.Unavailable, 0, refused));
        }

        lock (_gate)
        {
            if (!_answers.TryGetValue(transaction.RequestId, out var result))
            {
                _answers[transaction.RequestId] = result = Apply(transaction);
            }

            return Task.FromResult(result);
        }
    }

    public IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, CancellationToken cancellation) =>
        _watches.FollowAsync(prefix, afterRevision, cancellation);

    public Task<StoreStatus> GetStatusAsync(CancellationToken cancellation)
    {
        lock (_gate)
        {
            return Task.FromResult(new StoreStatus(true, "model", _revision, _records.Values.Sum(entry => (long)entry.Value.Length), []));
        }
    }

    /// <summary>Changes up to <paramref name="revision"/> can no longer be watched.</summary>
    public void Forget(long revision) => _watches.Forget(revision);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private CommitResult Apply(Transaction transaction)
    {
        foreach (var compare in transaction.Compares)
        {
            var found = _records.GetValueOrDefault(compare.Key)?.ModRevision ?? 0;
            if (found != compare.ModRevision)
            {
                return new CommitResult(CommitOutcome.Conflict, 0, $"{compare.Key} is at revision {found}, not {compare.ModRevision}");
            }
        }

        _revision++;
        var entries = new List<StoreEntry>();
        var deleted = new List<string>();
        foreach (var write in transaction.Writes)
        {
            if (write.Value is { } value)
            {
                var entry = new StoreEntry(write.Key, value.ToArray(), _revision);
                _records[write.Key] = entry;
                entries.Add(entry);
            }
            else if (_records.Remove(write.Key))
            {
                deleted.Add(write.Key);
            }
        }

        _watches.Publish(new WatchBatch(_revision, entries, deleted));
        return new CommitResult(CommitOutcome.Committed, _revision);
    }
}

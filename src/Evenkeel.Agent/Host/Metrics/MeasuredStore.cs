using System.Diagnostics;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Host.Metrics;

/// <summary>The coordination store, with a note of how long each question took.</summary>
/// <param name="store">Who really answers.</param>
/// <param name="took">Told the operation, <c>commit</c> or <c>read</c>, its time, and whether it had a sure answer.</param>
internal sealed class MeasuredStore(ICoordinationStore store, Action<string, TimeSpan, bool> took) : ICoordinationStore
{
    public async Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation)
    {
        var began = Stopwatch.GetTimestamp();
        var answered = false;
        try
        {
            var snapshot = await store.ReadAsync(prefix, cancellation).ConfigureAwait(false);
            answered = true;
            return snapshot;
        }
        finally
        {
            took("read", Stopwatch.GetElapsedTime(began), answered);
        }
    }

    public async Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        var began = Stopwatch.GetTimestamp();
        var result = await store.CommitAsync(transaction, cancellation).ConfigureAwait(false);
        took("commit", Stopwatch.GetElapsedTime(began), result.Outcome is CommitOutcome.Committed or CommitOutcome.Conflict);
        return result;
    }

    public IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, CancellationToken cancellation) =>
        store.WatchAsync(prefix, afterRevision, cancellation);

    public Task<StoreStatus> GetStatusAsync(CancellationToken cancellation) => store.GetStatusAsync(cancellation);

    public ValueTask DisposeAsync() => store.DisposeAsync();
}

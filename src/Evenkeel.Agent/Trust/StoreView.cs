using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Trust;

/// <summary>The records below one prefix of the coordination store, as they were last heard of. A copy: who changes something compares revisions.</summary>
internal sealed class StoreView(ICoordinationStore store, string prefix, Action changed)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);
    private IReadOnlyDictionary<string, StoreEntry>? _entries;

    /// <summary>By key; null until the store has answered once.</summary>
    public IReadOnlyDictionary<string, StoreEntry>? Entries => Volatile.Read(ref _entries);

    public StoreEntry? Find(string key) => Entries?.GetValueOrDefault(key);

    public async Task RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                var snapshot = await store.ReadAsync(prefix, cancellation).ConfigureAwait(false);
                Take(snapshot.Entries.ToDictionary(entry => entry.Key));
                await foreach (var batch in store.WatchAsync(prefix, snapshot.Revision, cancellation).ConfigureAwait(false))
                {
                    var next = Entries!.ToDictionary();
                    foreach (var key in batch.Deleted)
                    {
                        next.Remove(key);
                    }

                    foreach (var entry in batch.Entries)
                    {
                        next[entry.Key] = entry;
                    }

                    Take(next);
                }
            }
            catch (Exception exception) when (exception is StoreUnavailableException or CompactedException)
            {
                // Said by the feed of the state already; read anew.
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(RetryDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Take(IReadOnlyDictionary<string, StoreEntry> entries)
    {
        Volatile.Write(ref _entries, entries);
        changed();
    }
}

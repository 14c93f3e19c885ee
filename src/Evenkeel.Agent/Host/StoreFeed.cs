using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Feeds the loop with the committed state: a linearizable reading first, then every change in order; begins anew after a
/// compaction, a lost connection, or when the loop asks (<see cref="RereadStore"/>).
/// </summary>
internal sealed class StoreFeed(ICoordinationStore store, string prefix, Action<AgentEvent> post)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(100);
    private CancellationTokenSource? _round;

    /// <summary>Drops the running watch and reads everything again.</summary>
    public void Reread() => Volatile.Read(ref _round)?.Cancel();

    public async Task RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            using var round = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            Volatile.Write(ref _round, round);
            try
            {
                var snapshot = await store.ReadAsync(prefix, round.Token).ConfigureAwait(false);
                post(new StoreRead(snapshot));
                await foreach (var batch in store.WatchAsync(prefix, snapshot.Revision, round.Token).ConfigureAwait(false))
                {
                    post(new StoreChanged(batch));
                }
            }
            catch (CompactedException)
            {
                // Too far behind to follow: read it all again.
            }
            catch (StoreUnavailableException exception)
            {
                post(new StoreLost(exception.Message));
                await Pause(cancellation).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // Asked to read again.
            }
            catch (OperationCanceledException)
            {
                return;
            }
            finally
            {
                Volatile.Write(ref _round, null);
            }
        }
    }

    private static async Task Pause(CancellationToken cancellation) =>
        await Task.Delay(RetryDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
}

using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.PrivateConnection.Store;

/// <summary>
/// The recent changes of a store, and everybody who follows them. A follower that falls too far behind is told to read anew
/// rather than allowed to grow without bound.
/// </summary>
internal sealed class WatchHub(long revision)
{
    /// <summary>Batches that can still be watched from the past.</summary>
    public const int Kept = 10_000;

    private readonly Lock _gate = new();
    private readonly Queue<WatchBatch> _history = new();
    private readonly List<Channel<WatchBatch>> _followers = [];
    private long _forgotten = revision;
    private long _last = revision;

    /// <summary>Called in revision order.</summary>
    public void Publish(WatchBatch batch)
    {
        lock (_gate)
        {
            _last = batch.Revision;
            _history.Enqueue(batch);
            if (_history.Count > Kept)
            {
                _forgotten = _history.Dequeue().Revision;
            }

            foreach (var follower in _followers)
            {
                if (!follower.Writer.TryWrite(batch))
                {
                    follower.Writer.TryComplete(new CompactedException(batch.Revision));
                }
            }
        }
    }

    /// <summary>Changes up to <paramref name="upTo"/> can no longer be watched.</summary>
    public void Forget(long upTo)
    {
        lock (_gate)
        {
            _forgotten = Math.Max(_forgotten, upTo);
            while (_history.TryPeek(out var oldest) && oldest.Revision <= upTo)
            {
                _history.Dequeue();
            }
        }
    }

    /// <summary>The store went on from <paramref name="at"/> in a way that followers were not told: they read anew.</summary>
    public void Restart(long at)
    {
        lock (_gate)
        {
            _history.Clear();
            _forgotten = _last = at;
            foreach (var follower in _followers)
            {
                follower.Writer.TryComplete(new CompactedException(at));
            }
        }
    }

    public async IAsyncEnumerable<WatchBatch> FollowAsync(string prefix, long after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var channel = Channel.CreateBounded<WatchBatch>(new BoundedChannelOptions(Kept) { SingleReader = true });
        lock (_gate)
        {
            if (after < _forgotten || after > _last)
            {
                // Older than what is kept, or from a life of this store that is gone.
                throw new CompactedException(after);
            }

            foreach (var batch in _history.Where(batch => batch.Revision > after))
            {
                channel.Writer.TryWrite(batch);
            }

            _followers.Add(channel);
        }

        try
        {
            await foreach (var batch in channel.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                var entries = batch.Entries.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal)).ToList();
                var deleted = batch.Deleted.Where(key => key.StartsWith(prefix, StringComparison.Ordinal)).ToList();
                if (entries.Count + deleted.Count > 0)
                {
                    yield return new WatchBatch(batch.Revision, entries, deleted);
                }
            }
        }
        finally
        {
            lock (_gate)
            {
                _followers.Remove(channel);
            }
        }
    }
}

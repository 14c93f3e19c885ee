using Evenkeel.Core.Loop.Ports;
using Microsoft.Data.Sqlite;

namespace Evenkeel.PrivateConnection.Store.Embedded;

/// <summary>
/// The coordination store of a cluster on one machine: a committed transaction is on stable storage when it is answered.
/// After a failed write (full disk, I/O error) the file is opened anew, which rolls back or completes what was begun, and the
/// request id tells which: so even then most outcomes are certain, and the store goes on once there is room again.
/// </summary>
public sealed class EmbeddedStore : ICoordinationStore
{
    /// <summary>How long a call waits for its turn.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    private readonly string _path;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly WatchHub _watches;
    private readonly DoubtfulRequests _doubtful = new();
    private EmbeddedFile? _file;
    private long _revision;
    private string? _problem;
    private bool _disposed;

    private EmbeddedStore(string path, EmbeddedFile file)
    {
        _path = path;
        _file = file;
        _revision = file.Revision;
        _watches = new WatchHub(file.Revision);
    }

    /// <summary>Opens the file, or makes it (0600).</summary>
    /// <exception cref="StoreUnavailableException">It cannot be written, is damaged, or another process holds it; nothing was changed.</exception>
    public static EmbeddedStore Open(string file) => new(file, EmbeddedFile.Open(file));

    public async Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation)
    {
        await EnterAsync(cancellation).ConfigureAwait(false);
        try
        {
            var entries = Opened().Read(prefix);
            return new StoreSnapshot(_revision, entries);
        }
        catch (SqliteException exception)
        {
            Close(exception.Message);
            throw new StoreUnavailableException(exception.Message, exception);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        if (TransactionLimits.WhyNot(transaction) is { } refused)
        {
            return new CommitResult(CommitOutcome.Unavailable, 0, refused);
        }

        try
        {
            await EnterAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or StoreUnavailableException)
        {
            return _doubtful.Settle(transaction.RequestId, new CommitResult(CommitOutcome.Unavailable, 0, exception.Message));
        }

        try
        {
            return _doubtful.Settle(transaction.RequestId, Commit(transaction));
        }
        finally
        {
            _gate.Release();
        }
    }

    public IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, CancellationToken cancellation) =>
        _watches.FollowAsync(prefix, afterRevision, cancellation);

    public async Task<StoreStatus> GetStatusAsync(CancellationToken cancellation)
    {
        await EnterAsync(cancellation).ConfigureAwait(false);
        try
        {
            var size = Opened().SizeBytes;
            return new StoreStatus(true, "embedded", _revision, size, _problem is null ? [] : [_problem]);
        }
        catch (StoreUnavailableException exception)
        {
            return new StoreStatus(false, null, _revision, 0, [exception.Message]);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _gate.WaitAsync().ConfigureAwait(false);
        _disposed = true;
        _file?.Dispose();
        _file = null;
        _gate.Release();
    }

    /// <summary>Changes up to <paramref name="revision"/> can no longer be watched.</summary>
    internal void Forget(long revision) => _watches.Forget(revision);

    private async Task EnterAsync(CancellationToken cancellation)
    {
        if (!await _gate.WaitAsync(Deadline, cancellation).ConfigureAwait(false))
        {
            throw new StoreUnavailableException($"the store's disk was busy for {Deadline.TotalSeconds} s");
        }
    }

    private CommitResult Commit(Transaction transaction)
    {
        try
        {
            var (result, changes) = Opened().Apply(transaction);
            _problem = null;
            if (changes is not null)
            {
                _revision = changes.Revision;
                _watches.Publish(changes);
            }

            return result;
        }
        catch (StoreUnavailableException exception)
        {
            return new CommitResult(CommitOutcome.Unavailable, 0, exception.Message);
        }
        catch (SqliteException exception)
        {
            Close($"the last write failed: {exception.Message}");
            return Recovered(transaction.RequestId, exception.Message);
        }
    }

    /// <summary>Only the file, opened anew, knows whether the failed transaction is in it.</summary>
    private CommitResult Recovered(Guid request, string reason)
    {
        try
        {
            return Opened().Remembered(request) ?? new CommitResult(CommitOutcome.Unavailable, 0, reason);
        }
        catch (Exception exception) when (exception is StoreUnavailableException or SqliteException)
        {
            Close(exception.Message);
            return new CommitResult(CommitOutcome.Indeterminate, 0, $"{reason}; and the file could not be opened again: {exception.Message}");
        }
    }

    /// <exception cref="StoreUnavailableException">It cannot be opened (any more).</exception>
    private EmbeddedFile Opened()
    {
        if (_file is null)
        {
            if (_disposed)
            {
                throw new StoreUnavailableException("the store is closed");
            }

            _file = EmbeddedFile.Open(_path);
            if (_file.Revision != _revision)
            {
                // A commit that was thought failed is in the file: followers have not been told of it and read anew.
                _revision = _file.Revision;
                _watches.Restart(_revision);
            }
        }

        return _file;
    }

    private void Close(string problem)
    {
        _problem = problem;
        _file?.Dispose();
        _file = null;
    }
}

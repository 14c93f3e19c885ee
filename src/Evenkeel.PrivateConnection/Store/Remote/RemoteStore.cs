using System.Runtime.CompilerServices;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.PrivateConnection.Store.Remote;

/// <summary>
/// A store that another process serves (<see cref="StoreServer"/>). Calls share one connection, which is made when needed;
/// every watch has its own. A commit that never was sent is Unavailable; one that was, and got no answer, is Indeterminate
/// until a retry under the same request id is answered.
/// </summary>
public sealed class RemoteStore(PrivateEndpoint server, NodeCertificate certificate, Action<string> log) : ICoordinationStore
{
    /// <summary>Every call's own deadline.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    // The second one meets a server that has just been restarted.
    private const int Attempts = 2;

    private readonly SemaphoreSlim _connecting = new(1, 1);
    private readonly DoubtfulRequests _doubtful = new();
    private RemoteConnection? _connection;
    private long _number;

    public async Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation) =>
        (await AnswerAsync(number => new StoreCall(number) { Read = prefix }, cancellation).ConfigureAwait(false)).Snapshot
        ?? throw new StoreUnavailableException("the store's answer holds no snapshot");

    public async Task<StoreStatus> GetStatusAsync(CancellationToken cancellation) =>
        (await AnswerAsync(number => new StoreCall(number) { Status = true }, cancellation).ConfigureAwait(false)).Status
        ?? throw new StoreUnavailableException("the store's answer holds no status");

    public async Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        if (TransactionLimits.WhyNot(transaction) is { } refused)
        {
            return new CommitResult(CommitOutcome.Unavailable, 0, refused);
        }

        var asked = await AskAsync(number => new StoreCall(number) { Commit = transaction }, cancellation).ConfigureAwait(false);
        return _doubtful.Settle(transaction.RequestId, asked.Answer is { } answer
            ? answer.Result ?? new CommitResult(CommitOutcome.Indeterminate, 0, answer.Unavailable ?? "the store's answer holds no result")
            : new CommitResult(asked.Sent ? CommitOutcome.Indeterminate : CommitOutcome.Unavailable, 0, asked.Reason));
    }

    public async IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var connection = await OpenAsync(cancellation).ConfigureAwait(false);
        var call = new StoreCall(Next()) { Watch = prefix, After = afterRevision };
        await foreach (var answer in connection.StreamAsync(call, cancellation).ConfigureAwait(false))
        {
            switch (answer)
            {
                case { Batch: { } batch }:
                    yield return batch;
                    break;
                case { Compacted: { } revision }:
                    throw new CompactedException(revision);
                case { Unavailable: { } reason }:
                    throw new StoreUnavailableException(reason);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
        }

        _connecting.Dispose();
    }

    private long Next() => Interlocked.Increment(ref _number);

    private async Task<RemoteConnection> OpenAsync(CancellationToken cancellation)
    {
        try
        {
            return await RemoteConnection.OpenAsync(server, certificate, log, cancellation).ConfigureAwait(false);
        }
        catch (StoreUnavailableException) when (cancellation.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellation);
        }
    }

    private async Task<StoreAnswer> AnswerAsync(Func<long, StoreCall> call, CancellationToken cancellation)
    {
        var asked = await AskAsync(call, cancellation).ConfigureAwait(false);
        if (asked.Answer is null)
        {
            cancellation.ThrowIfCancellationRequested();
            throw new StoreUnavailableException(asked.Reason!);
        }

        return asked.Answer.Unavailable is null ? asked.Answer : throw new StoreUnavailableException(asked.Answer.Unavailable);
    }

    /// <summary>Repeating is safe: a commit carries its request id, a reading changes nothing.</summary>
    private async Task<(StoreAnswer? Answer, bool Sent, string? Reason)> AskAsync(Func<long, StoreCall> call, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Deadline);
        var sent = new StrongBox<bool>();
        string? reason = null;
        for (var attempt = 0; attempt < Attempts && !limit.IsCancellationRequested; attempt++)
        {
            RemoteConnection? connection = null;
            try
            {
                connection = await ConnectAsync(limit.Token).ConfigureAwait(false);
                return (await connection.CallAsync(call(Next()), sent, limit.Token).ConfigureAwait(false), sent.Value, null);
            }
            catch (OperationCanceledException)
            {
                reason = $"the store at {server} did not answer within {Deadline.TotalSeconds} s";
                if (!cancellation.IsCancellationRequested)
                {
                    // The next call shall not wait on it too.
                    connection?.Break();
                }
            }
            catch (Exception exception) when (exception is StoreUnavailableException or IOException or ObjectDisposedException)
            {
                reason = $"the store at {server}: {exception.Message}";
            }
        }

        return (null, sent.Value, reason ?? "cancelled before it began");
    }

    private async Task<RemoteConnection> ConnectAsync(CancellationToken cancellation)
    {
        if (_connection is { Broken: false } ready)
        {
            return ready;
        }

        await _connecting.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (_connection is { Broken: false } made)
            {
                return made;
            }

            if (_connection is not null)
            {
                await _connection.DisposeAsync().ConfigureAwait(false);
                _connection = null;
            }

            return _connection = await OpenAsync(cancellation).ConfigureAwait(false);
        }
        finally
        {
            _connecting.Release();
        }
    }
}

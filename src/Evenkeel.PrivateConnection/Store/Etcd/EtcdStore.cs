using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Certificates;
using Google.Protobuf;
using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// The coordination store over etcd 3.4 and later. Readings go through the log; an unknown outcome is resolved by the request
/// id, which etcd keeps beside the records for the latest <see cref="RememberedRevisions"/> revisions.
/// An etcd that was not started by Evenkeel needs <c>--max-txn-ops=256</c> for transactions of more than 126 parts.
/// </summary>
public sealed class EtcdStore : ICoordinationStore
{
    /// <summary>A retry is safe until this many further revisions have passed.</summary>
    public const long RememberedRevisions = 10_000;

    private const int SweepEvery = 256;
    private const int SweepMost = 100;

    private readonly List<EtcdMemberLink> _members;
    private readonly EtcdCalls _calls;
    private readonly EtcdKeys _keys;
    private readonly DoubtfulRequests _doubtful = new();
    private readonly CancellationTokenSource _stop = new();
    private long _commits;
    private bool _disposed;
    private Task _sweep = Task.CompletedTask;

    /// <param name="cluster">Names the part of etcd's key space that is ours; without <c>/</c>.</param>
    /// <param name="endpoints">Members to ask; the first is preferred (give the local one first). At least one.</param>
    /// <param name="certificate">Our side of mutual TLS; null speaks plain text (an etcd on loopback, in tests).</param>
    /// <param name="log">Told of refused certificates.</param>
    public EtcdStore(string cluster, IReadOnlyList<EtcdEndpoint> endpoints, NodeCertificate? certificate, Action<string> log)
    {
        ArgumentOutOfRangeException.ThrowIfZero(endpoints.Count);
        _keys = new EtcdKeys(cluster);
        _members = [.. endpoints.Select(endpoint => new EtcdMemberLink(endpoint, certificate, log))];
        _calls = new EtcdCalls(_members);
    }

    public async Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation)
    {
        var response = await AskAsync(EtcdTransactions.Read(_keys, _keys.Record(prefix)), cancellation).ConfigureAwait(false);
        var entries = response.Responses[1].ResponseRange.Kvs
            .Select(record => new StoreEntry(_keys.Name(record.Key), record.Value.Memory, record.ModRevision)).ToList();
        return new StoreSnapshot(response.Header.Revision, entries);
    }

    public async Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        if (TransactionLimits.WhyNot(transaction) is { } refused)
        {
            return new CommitResult(CommitOutcome.Unavailable, 0, refused);
        }

        var answer = await _calls.SendAsync(EtcdTransactions.Commit(_keys, transaction), cancellation).ConfigureAwait(false);
        var result = answer switch
        {
            { Response: { } response } => EtcdTransactions.Answer(transaction, response),
            { Full: true } => await AskWhetherAppliedAsync(transaction, answer, cancellation).ConfigureAwait(false),
            { Doubtful: true } => new CommitResult(CommitOutcome.Indeterminate, 0, answer.Reason),
            _ => new CommitResult(CommitOutcome.Unavailable, 0, answer.Reason),
        };
        if (result.Outcome == CommitOutcome.Committed && Interlocked.Increment(ref _commits) % SweepEvery == 1 && _sweep.IsCompleted)
        {
            _sweep = ForgetRequestsAsync(result.Revision - RememberedRevisions);
        }

        return _doubtful.Settle(transaction.RequestId, result);
    }

    public IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, CancellationToken cancellation) =>
        new EtcdWatch(_calls, _keys, prefix, afterRevision).FollowAsync(
            async token => (await AskAsync(EtcdTransactions.Read(_keys, null), token).ConfigureAwait(false)).Header.Revision, cancellation);

    public Task<StoreStatus> GetStatusAsync(CancellationToken cancellation) =>
        EtcdStatus.ReadAsync(_members, async token => await _calls.SendAsync(EtcdTransactions.Read(_keys, null), token).ConfigureAwait(false), cancellation);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _sweep.ConfigureAwait(false);
        foreach (var member in _members)
        {
            member.Dispose();
        }

        _stop.Dispose();
    }

    private async Task<TxnResponse> AskAsync(TxnRequest request, CancellationToken cancellation)
    {
        var answer = await _calls.SendAsync(request, cancellation).ConfigureAwait(false);
        cancellation.ThrowIfCancellationRequested();
        return answer.Response ?? throw new StoreUnavailableException(answer.Reason!);
    }

    /// <summary>Every attempt but the doubtful ones has been answered, so what the log says of the request id is final.</summary>
    private async Task<CommitResult> AskWhetherAppliedAsync(Transaction transaction, EtcdAnswer refusal, CancellationToken cancellation)
    {
        var found = await _calls.SendAsync(EtcdTransactions.Read(_keys, _keys.Request(transaction.RequestId)), cancellation).ConfigureAwait(false);
        if (found.Response is null)
        {
            return new CommitResult(CommitOutcome.Indeterminate, 0, refusal.Reason);
        }

        return found.Response.Responses[1].ResponseRange.Kvs is [var record] ? EtcdTransactions.Earlier(record)
            : new CommitResult(refusal.Doubtful ? CommitOutcome.Indeterminate : CommitOutcome.Unavailable, 0, refusal.Reason);
    }

    /// <summary>Deletes request ids last written at or before <paramref name="revision"/>; what is left over, the next time.</summary>
    private async Task ForgetRequestsAsync(long revision)
    {
        if (revision <= 0)
        {
            return;
        }

        try
        {
            var old = await _calls.Preferred.Values.RangeAsync(
                new RangeRequest
                {
                    Key = _keys.Requests, RangeEnd = EtcdKeys.End(_keys.Requests), MaxModRevision = revision,
                    KeysOnly = true, Limit = SweepEvery * 4, Serializable = true,
                },
                EtcdCalls.Options(EtcdCalls.Deadline, _stop.Token)).ConfigureAwait(false);
            foreach (var keys in old.Kvs.Chunk(SweepMost))
            {
                var delete = new TxnRequest();
                delete.Success.AddRange(keys.Select(record => EtcdTransactions.Delete(record.Key)));
                await _calls.Preferred.Values.TxnAsync(delete, EtcdCalls.Options(EtcdCalls.Deadline, _stop.Token)).ConfigureAwait(false);
            }
        }
        catch (RpcException)
        {
            // They stay until the next sweep; nothing depends on their going.
        }
    }
}

using System.Runtime.CompilerServices;
using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Google.Protobuf;
using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// One watch on one member. A watch on a member that is frozen or cut off would be silent for ever: the member must have a
/// leader, and is asked for a sign of life every half second. Ends when a better member is there to watch.
/// </summary>
internal sealed class EtcdWatch(EtcdCalls calls, EtcdKeys keys, string prefix, long after)
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(2);

    public async IAsyncEnumerable<WatchBatch> FollowAsync(
        Func<CancellationToken, Task<long>> readRevision, [EnumeratorCancellation] CancellationToken cancellation)
    {
        // etcd would wait in silence for a revision of a life that is gone (a store restored from a snapshot).
        if (await readRevision(cancellation).ConfigureAwait(false) < after)
        {
            throw new CompactedException(after);
        }

        var member = calls.Preferred;
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var call = member.Watches.Watch(EtcdCalls.NeedsLeader(), cancellationToken: ended.Token);
        var asking = Task.CompletedTask;
        try
        {
            var key = keys.Record(prefix);
            await Guarded(async () =>
            {
                await call.RequestStream.WriteAsync(new WatchRequest
                {
                    CreateRequest = new WatchCreateRequest { Key = key, RangeEnd = EtcdKeys.End(key), StartRevision = after + 1 },
                }, ended.Token).ConfigureAwait(false);
                return null;
            }).ConfigureAwait(false);
            asking = AskForLifeAsync(call.RequestStream, ended.Token);
            while (true)
            {
                var response = (await Guarded(async () => await call.ResponseStream.MoveNext(ended.Token).WaitAsync(Silence, ended.Token).ConfigureAwait(false)
                    ? call.ResponseStream.Current : null).ConfigureAwait(false)) ?? throw new StoreUnavailableException("etcd ended the watch");
                if (response.CompactRevision > 0)
                {
                    throw new CompactedException(after);
                }

                if (response.Canceled)
                {
                    calls.Avoid(member);
                    throw new StoreUnavailableException($"etcd at {member.Endpoint.Address} ended the watch: {response.CancelReason}");
                }

                foreach (var revision in response.Events.GroupBy(change => change.Kv.ModRevision))
                {
                    yield return Batch(revision);
                }

                if (calls.Preferred != member)
                {
                    yield break; // the member at home is well again
                }
            }
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await asking.ConfigureAwait(false);
        }

        async Task<WatchResponse?> Guarded(Func<Task<WatchResponse?>> act)
        {
            try
            {
                return await act().ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is RpcException or TimeoutException or IOException or InvalidOperationException)
            {
                cancellation.ThrowIfCancellationRequested();
                calls.Avoid(member, exception as RpcException);
                throw new StoreUnavailableException(
                    $"the watch on etcd at {member.Endpoint.Address} was lost: {(exception is RpcException rpc ? EtcdFailures.Describe(rpc) : exception.Message)}", exception);
            }
        }
    }

    private WatchBatch Batch(IGrouping<long, Mvccpb.Event> revision)
    {
        var entries = new List<StoreEntry>();
        var deleted = new List<string>();
        foreach (var change in revision)
        {
            var name = keys.Name(change.Kv.Key);
            if (change.Type == Mvccpb.Event.Types.EventType.Delete)
            {
                deleted.Add(name);
            }
            else
            {
                entries.Add(new StoreEntry(name, change.Kv.Value.Memory, revision.Key));
            }
        }

        return new WatchBatch(revision.Key, entries, deleted);
    }

    /// <summary>The answers only prove life; their revision is not used (it could run ahead of events, etcd #15220).</summary>
    private static async Task AskForLifeAsync(IClientStreamWriter<WatchRequest> requests, CancellationToken ended)
    {
        using var timer = new PeriodicTimer(AskEvery);
        try
        {
            while (await timer.WaitForNextTickAsync(ended).ConfigureAwait(false))
            {
                await requests.WriteAsync(new WatchRequest { ProgressRequest = new WatchProgressRequest() }, ended).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is RpcException or OperationCanceledException or IOException or InvalidOperationException)
        {
            // The reader meets the same end and tells it.
        }
    }
}

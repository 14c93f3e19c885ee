using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Google.Protobuf;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// Our transactions in etcd's words. Every commit also writes its request id, and every conflict burns it, both in the same
/// etcd transaction: whatever becomes of other attempts, the first one that entered the log has decided for all.
/// (Without burning, an attempt that is still on its way could succeed after a retry of it was told 'conflict'.)
/// </summary>
internal static class EtcdTransactions
{
    private const int NamedCompares = 16;
    private static readonly ByteString Committed = ByteString.CopyFromUtf8("c");
    private static readonly ByteString Burnt = ByteString.CopyFromUtf8("x");

    public static TxnRequest Commit(EtcdKeys keys, Transaction transaction)
    {
        var request = keys.Request(transaction.RequestId);
        var txn = new TxnRequest();
        txn.Compare.Add(Absent(request));
        foreach (var compare in transaction.Compares)
        {
            txn.Compare.Add(new Etcdserverpb.Compare
            {
                Key = keys.Record(compare.Key),
                Target = Etcdserverpb.Compare.Types.CompareTarget.Mod,
                Result = Etcdserverpb.Compare.Types.CompareResult.Equal,
                ModRevision = compare.ModRevision, // an absent key counts as 0
            });
        }

        foreach (var write in transaction.Writes)
        {
            txn.Success.Add(write.Value is { } value
                ? Put(keys.Record(write.Key), ByteString.CopyFrom(value.Span))
                : Delete(keys.Record(write.Key)));
        }

        txn.Success.Add(Put(request, Committed));
        var first = new TxnRequest();
        first.Compare.Add(Absent(request));
        first.Success.Add(Put(request, Burnt));
        foreach (var compare in transaction.Compares.Take(NamedCompares))
        {
            first.Success.Add(new RequestOp { RequestRange = new RangeRequest { Key = keys.Record(compare.Key), KeysOnly = true } });
        }

        first.Failure.Add(new RequestOp { RequestRange = new RangeRequest { Key = request } });
        txn.Failure.Add(new RequestOp { RequestTxn = first });
        return txn;
    }

    public static CommitResult Answer(Transaction transaction, TxnResponse response)
    {
        if (response.Succeeded)
        {
            return new CommitResult(CommitOutcome.Committed, response.Header.Revision);
        }

        var earlier = response.Responses[0].ResponseTxn;
        if (!earlier.Succeeded)
        {
            return Earlier(earlier.Responses[0].ResponseRange.Kvs[0]);
        }

        for (var i = 0; i < Math.Min(NamedCompares, transaction.Compares.Count); i++)
        {
            var compare = transaction.Compares[i];
            var found = earlier.Responses[i + 1].ResponseRange.Kvs is [var record] ? record.ModRevision : 0;
            if (found != compare.ModRevision)
            {
                return new CommitResult(CommitOutcome.Conflict, 0, $"{compare.Key} is at revision {found}, not {compare.ModRevision}");
            }
        }

        return new CommitResult(CommitOutcome.Conflict, 0, $"one of {transaction.Compares.Count} keys has changed");
    }

    /// <summary>What the record of a request id says of the attempt that wrote it.</summary>
    public static CommitResult Earlier(Mvccpb.KeyValue request) => request.Value == Committed
        ? new CommitResult(CommitOutcome.Committed, request.ModRevision)
        : new CommitResult(CommitOutcome.Conflict, 0, "an earlier attempt of this transaction found a conflict");

    /// <summary>
    /// Reads through the log: a transaction with a delete (of a key that never exists) is a proposal, answered when it is
    /// applied. etcd's own linearizable reads could be stale after a pause of the leader before 3.6.9 (etcd #20418).
    /// </summary>
    public static TxnRequest Read(EtcdKeys keys, ByteString? prefix)
    {
        var txn = new TxnRequest();
        txn.Compare.Add(Absent(keys.Barrier));
        txn.Success.Add(Delete(keys.Barrier));
        if (prefix is not null)
        {
            txn.Success.Add(new RequestOp { RequestRange = new RangeRequest { Key = prefix, RangeEnd = EtcdKeys.End(prefix) } });
        }

        return txn;
    }

    public static RequestOp Delete(ByteString key) => new() { RequestDeleteRange = new DeleteRangeRequest { Key = key } };

    private static RequestOp Put(ByteString key, ByteString value) => new() { RequestPut = new PutRequest { Key = key, Value = value } };

    private static Etcdserverpb.Compare Absent(ByteString key) => new()
    {
        Key = key,
        Target = Etcdserverpb.Compare.Types.CompareTarget.Create,
        Result = Etcdserverpb.Compare.Types.CompareResult.Equal,
        CreateRevision = 0,
    };
}

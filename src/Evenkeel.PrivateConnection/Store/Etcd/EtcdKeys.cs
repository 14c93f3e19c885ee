using System.Text;
using Google.Protobuf;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// Where a cluster's records live in etcd's key space: records under <c>evenkeel/CLUSTER/d/</c>, the answers to
/// transactions under <c>evenkeel/CLUSTER/r/</c>, so that an etcd that others use too stays theirs.
/// </summary>
internal sealed class EtcdKeys(string cluster)
{
    private readonly string _records = $"evenkeel/{cluster}/d/";

    public ByteString Requests { get; } = ByteString.CopyFromUtf8($"evenkeel/{cluster}/r/");

    /// <summary>Never written: deleting it makes a reading go through the log (see <see cref="EtcdTransactions.Read"/>).</summary>
    public ByteString Barrier { get; } = ByteString.CopyFromUtf8($"evenkeel/{cluster}/barrier");

    public ByteString Record(string key) => ByteString.CopyFromUtf8(_records + key);
    public ByteString Request(Guid id) => ByteString.CopyFromUtf8($"evenkeel/{cluster}/r/{id:n}");
    public string Name(ByteString record) => Encoding.UTF8.GetString(record.Span)[_records.Length..];

    /// <summary>The first key after all that begin with <paramref name="prefix"/> (etcd's range_end of a prefix).</summary>
    public static ByteString End(ByteString prefix)
    {
        var end = prefix.ToByteArray();
        for (var i = end.Length - 1; i >= 0; i--)
        {
            if (end[i] < 0xff)
            {
                end[i]++;
                return ByteString.CopyFrom(end.AsSpan(0, i + 1));
            }
        }

        return ByteString.CopyFrom(0); // every key from here on
    }
}

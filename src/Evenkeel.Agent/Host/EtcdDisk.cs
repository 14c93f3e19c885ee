using System.Globalization;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The disk that holds this node's etcd: its room, and how long it takes to make a write durable. Both are seen before they hurt: etcd ends
/// when it cannot make the next piece of its log, and a member that waits for its disk for an election's time is taken for lost.
/// </summary>
internal sealed class EtcdDisk(EtcdMember member, NodeCertificate? certificate) : IDisposable
{
    // etcd makes its log in pieces of 64 MB (wal.SegmentSizeBytes), the next one ahead; the rest is for logs and the agent's own files.
    private const long LeastRoom = 256L << 20;
    // A database that is written anew (defragmentation) stands beside the old one until it is done, and so does a snapshot of it.
    private const int Copies = 2;
    /// <summary>Readings that one is compared with: five minutes of them, at two a minute.</summary>
    private const int Window = 10;
    /// <summary>Fewer syncs that were slow say nothing: one pause of the machine is some of them.</summary>
    private const int FewSlow = 5;
    private const double SlowShare = 0.01;

    private readonly EtcdEndpoint _endpoint = new(member.Clients, member.Node);
    private readonly HttpClient _client = EtcdSyncTimes.Client(new EtcdEndpoint(member.Clients, member.Node), certificate);
    private readonly Queue<EtcdSyncTimes> _readings = new();

    /// <summary>Another in tests alone.</summary>
    internal Func<string, long> FreeBytes { get; init; } = directory => new DriveInfo(directory).AvailableFreeSpace;

    /// <summary>Null while there is enough room, or no data yet; else what is the matter, in words.</summary>
    /// <exception cref="IOException">The file system does not tell.</exception>
    public string? Room()
    {
        if (!Directory.Exists(member.DataDirectory))
        {
            return null;
        }

        var database = new FileInfo(Path.Combine(member.DataDirectory, "member", "snap", "db"));
        var (needed, free) = (LeastRoom + (Copies * (database.Exists ? database.Length : 0)), FreeBytes(member.DataDirectory));
        // In steps: words that change with each byte would be told anew each time.
        return free >= needed ? null
            : $"etcd's disk on {member.Node} has less than {Step(free)} MiB free at {member.DataDirectory}, and {needed >> 20} MiB are needed for the next piece of its log, a snapshot and a defragmentation: etcd ends when it is full";
    }

    /// <summary>Null while the disk keeps up, or etcd does not tell.</summary>
    public async Task<string?> SlownessAsync(CancellationToken cancellation)
    {
        if (await EtcdSyncTimes.ReadAsync(_client, _endpoint, certificate is not null, cancellation).ConfigureAwait(false) is not { } now)
        {
            return null;
        }

        _readings.Enqueue(now);
        // Less than a whole window would judge a start, which is never quick.
        return _readings.Count <= Window ? null : Judge(now.Since(_readings.Dequeue()));
    }

    public void Dispose() => _client.Dispose();

    /// <summary>More than one sync in a hundred took about as long as the others wait for a sign of their leader.</summary>
    internal string? Judge(EtcdSyncTimes times)
    {
        var bound = times.Bound(member.Election);
        var slow = times.SlowerThan(bound);
        return slow < FewSlow || slow <= times.Total * SlowShare ? null
            : string.Create(CultureInfo.InvariantCulture, $"etcd's disk on {member.Node} is slow: more than one durable write in a hundred took longer than {bound.TotalMilliseconds:0} ms, and a leader that is silent for {member.Election.TotalMilliseconds:0} ms is replaced");
    }

    private static long Step(long bytes)
    {
        long step = 16;
        while (step << 20 <= bytes)
        {
            step *= 2;
        }

        return step;
    }
}

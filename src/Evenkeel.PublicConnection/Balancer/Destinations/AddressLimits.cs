using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// Who may come in, and how often: access lists, connections at once, and a token bucket per client address. An IPv6 client is
/// its /64 (one subscriber has that many addresses and more).
/// </summary>
internal sealed class AddressLimits
{
    private const int MostBuckets = 100_000;
    private readonly ConcurrentDictionary<UInt128, int> connections = new();
    private readonly ConcurrentDictionary<UInt128, Bucket> buckets = new();
    private int total;

    private sealed class Bucket { public double Tokens; public long At; }

    public int Connections => Volatile.Read(ref total);

    /// <summary>Deny is stronger than allow; an empty allow list is everybody.</summary>
    public static bool Allows(DoorSpec door, IPAddress client)
    {
        foreach (var network in door.Deny)
            if (network.Contains(client)) return false;
        if (door.Allow.Count == 0) return true;
        foreach (var network in door.Allow)
            if (network.Contains(client)) return true;
        return false;
    }

    /// <summary>Counts a connection in; each success is followed by one <see cref="Leave"/>.</summary>
    public bool TryEnter(DoorSpec door, IPAddress client)
    {
        if (Interlocked.Increment(ref total) > (door.MaxConnections ?? int.MaxValue))
        {
            Interlocked.Decrement(ref total);
            return false;
        }
        // Always counted: a limit may be set while the connection lasts.
        var key = Key(client);
        if (connections.AddOrUpdate(key, 1, static (_, count) => count + 1) <= (door.MaxConnectionsPerAddress ?? int.MaxValue)) return true;
        Leave(client);
        return false;
    }

    public void Leave(IPAddress client)
    {
        Interlocked.Decrement(ref total);
        var key = Key(client);
        while (connections.TryGetValue(key, out var count))
        {
            if (count > 1 ? connections.TryUpdate(key, count - 1, count) : connections.TryRemove(new(key, count))) return;
        }
    }

    /// <summary>Takes a token of this address; false when it has come too often. <paramref name="now"/> in milliseconds.</summary>
    public bool TakeToken(DoorSpec door, IPAddress client, long now)
    {
        if (door.RatePerAddress is not { } rate) return true;
        if (buckets.Count > MostBuckets) Forget(rate, door.RateBurst, now);
        var bucket = buckets.GetOrAdd(Key(client), static (_, start) => new Bucket { Tokens = start.Burst, At = start.Now }, (Burst: door.RateBurst, Now: now));
        lock (bucket)
        {
            bucket.Tokens = Math.Min(door.RateBurst, bucket.Tokens + (now - bucket.At) * rate / 1000);
            bucket.At = now;
            if (bucket.Tokens < 1) return false;
            bucket.Tokens--;
            return true;
        }
    }

    // Full buckets say nothing that a new one would not say.
    private void Forget(double rate, int burst, long now)
    {
        foreach (var (key, bucket) in buckets)
            if (bucket.Tokens + (now - bucket.At) * rate / 1000 >= burst) buckets.TryRemove(key, out _);
        if (buckets.Count > MostBuckets) buckets.Clear();
    }

    private static UInt128 Key(IPAddress client)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        client.TryWriteBytes(bytes, out _);
        return client.AddressFamily == AddressFamily.InterNetwork
            ? BinaryPrimitives.ReadUInt32BigEndian(bytes)
            : new UInt128(BinaryPrimitives.ReadUInt64BigEndian(bytes), 1);
    }
}

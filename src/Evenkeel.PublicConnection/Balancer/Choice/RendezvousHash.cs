using System.IO.Hashing;
using System.Net;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Choice;

/// <summary>
/// The same key always to the same destination, and when one is lost only its own keys move: each destination draws a number for
/// the key, the highest wins (Thaler and Ravishankar, A Name-Based Mapping Scheme for Rendezvous, 1996; weights after Schindelhauer
/// and Schomaker, 2005). No slow start: a share that grows would move keys twice.
/// </summary>
internal static class RendezvousHash
{
    public static ulong KeyOf(IPAddress client)
    {
        Span<byte> bytes = stackalloc byte[16];
        client.TryWriteBytes(bytes, out var length);
        return XxHash3.HashToUInt64(bytes[..length]);
    }

    public static Backend? Choose(Backend[] candidates, ReadOnlySpan<Backend?> tried, ulong key)
    {
        Backend? best = null;
        var highest = double.NegativeInfinity;
        Span<byte> drawn = stackalloc byte[16];
        foreach (var one in candidates)
        {
            if (tried.Was(one)) continue;
            BitConverter.TryWriteBytes(drawn, key);
            BitConverter.TryWriteBytes(drawn[8..], one.HashSeed);
            // Uniform over (0, 1).
            var uniform = ((XxHash3.HashToUInt64(drawn) >> 11) + 0.5) / (1UL << 53);
            var score = -Math.Max(1, one.Destination.Weight) / Math.Log(uniform);
            if (score > highest) (best, highest) = (one, score);
        }
        return best;
    }
}

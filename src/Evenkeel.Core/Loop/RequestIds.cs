using System.Runtime.InteropServices;

namespace Evenkeel.Core.Loop;

/// <summary>
/// Ids of transactions and of the agent's run, from a seed: random in production, chosen by the simulator so that a run
/// replays byte for byte. SplitMix64 (Steele, Lea, Flood 2014); two draws make a Guid.
/// </summary>
public sealed class RequestIds(UInt128 seed)
{
    private ulong high = (ulong)(seed >> 64);
    private ulong low = (ulong)seed;

    public ulong NextNumber() => Draw(ref low) ^ Draw(ref high);

    public Guid Next()
    {
        Span<ulong> bits = [Draw(ref high), Draw(ref low)];
        return new Guid(MemoryMarshal.AsBytes(bits));
    }

    private static ulong Draw(ref ulong state)
    {
        var z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

namespace Evenkeel.Simulation.World;

/// <summary>The only source of chance in a run: SplitMix64 from the seed, the same on every machine and runtime.</summary>
public sealed class Chance(ulong seed)
{
    private ulong state = seed;

    public ulong Next()
    {
        var z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    public double Fraction() => (Next() >> 11) * (1.0 / (1UL << 53));
    public bool Happens(double probability) => Fraction() < probability;
    public int Below(int limit) => (int)(Next() % (ulong)limit);
    public double Between(double low, double high) => low + (high - low) * Fraction();
    public T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];
    /// <summary>A span between two lengths in milliseconds, as nanoseconds.</summary>
    public long Milliseconds(double low, double high) => (long)(Between(low, high) * 1e6);
    /// <summary>Exponential with this mean in milliseconds, as nanoseconds.</summary>
    public long Around(double mean) => (long)(-Math.Log(1 - Fraction()) * mean * 1e6);
}

using System.Numerics;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// Times until response headers, in buckets that grow by an eighth of a power of two (error below 13 %), counted without
/// locks. Never reset: readers subtract.
/// </summary>
public sealed class LatencyHistogram
{
    private const int Steps = 8;
    private readonly long[] counts = new long[32 * Steps];

    public void Record(TimeSpan latency) => Interlocked.Increment(ref counts[Bucket((long)latency.TotalMicroseconds)]);

    /// <summary>The smallest bucket bound that <paramref name="quantile"/> (0 to 1) of all times do not pass; zero when there is none.</summary>
    public TimeSpan Quantile(double quantile)
    {
        var total = counts.Sum();
        if (total == 0) return TimeSpan.Zero;
        var wanted = (long)Math.Ceiling(total * quantile);
        var seen = 0L;
        for (var bucket = 0; bucket < counts.Length; bucket++)
            if ((seen += counts[bucket]) >= wanted) return TimeSpan.FromMicroseconds(UpperBound(bucket));
        return TimeSpan.FromMicroseconds(UpperBound(counts.Length - 1));
    }

    private static int Bucket(long microseconds)
    {
        if (microseconds < Steps) return (int)Math.Max(0, microseconds);
        var power = BitOperations.Log2((ulong)microseconds);
        return Math.Min(32 * Steps - 1, (power - 2) * Steps + (int)((microseconds >> (power - 3)) & (Steps - 1)));
    }

    private static long UpperBound(int bucket) =>
        bucket < Steps ? bucket + 1 : (long)(Steps + bucket % Steps + 1) << (bucket / Steps - 1);
}

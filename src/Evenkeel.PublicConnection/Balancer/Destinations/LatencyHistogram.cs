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

    /// <summary>A copy, to be subtracted from a later one by <see cref="Since"/>.</summary>
    public long[] Counts() => (long[])counts.Clone();

    /// <summary>The smallest bucket bound that <paramref name="quantile"/> (0 to 1) of all times do not pass; zero when there is none.</summary>
    public TimeSpan Quantile(double quantile)
    {
        Since([], counts, quantile, out var time);
        return time;
    }

    /// <summary>How many times were recorded between two copies (an empty one is the beginning), and the quantile of those.</summary>
    public static long Since(long[] before, long[] now, double quantile, out TimeSpan time)
    {
        var total = now.Sum() - before.Sum();
        time = TimeSpan.Zero;
        if (total <= 0) return 0;
        var wanted = (long)Math.Ceiling(total * quantile);
        var seen = 0L;
        var bucket = -1;
        while (seen < wanted && ++bucket < now.Length) seen += now[bucket] - (before.Length == 0 ? 0 : before[bucket]);
        time = TimeSpan.FromMicroseconds(UpperBound(Math.Min(bucket, now.Length - 1)));
        return total;
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

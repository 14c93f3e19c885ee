namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// Keeps retries from becoming a storm: each request earns a fifth of a retry, up to a reserve that is large enough for
/// everything in flight at a lost destination. When all destinations are sick, at most a fifth more load reaches them.
/// What could not even connect is no load, and is not counted.
/// </summary>
public sealed class RetryBudget
{
    // In fifths of a retry.
    private const int Reserve = 5 * 2000;
    private int fifths = Reserve;

    public void RequestCame()
    {
        if (Volatile.Read(ref fifths) < Reserve) Interlocked.Increment(ref fifths);
    }

    public bool HasAny => Volatile.Read(ref fifths) >= 5;

    public bool TryTake()
    {
        if (Interlocked.Add(ref fifths, -5) >= 0) return true;
        Interlocked.Add(ref fifths, 5);
        return false;
    }
}

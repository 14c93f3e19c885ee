namespace Evenkeel.Core.Membership;

/// <summary>
/// Hysteresis of a health check: <c>rise</c> successes in a row make healthy, <c>fall</c> failures in a row make unhealthy,
/// anything less changes nothing. A check that says nothing (the prober itself was starved) is not reported here at all.
/// </summary>
/// <param name="rise">At least 1.</param>
/// <param name="fall">At least 1.</param>
/// <param name="healthy">Where it starts.</param>
public sealed class RiseFall(int rise, int fall, bool healthy)
{
    // Results in a row that contradict the verdict.
    private int against;

    public bool Healthy { get; private set; } = healthy;

    /// <summary>True when this result changed the verdict.</summary>
    public bool Report(bool success)
    {
        if (success == Healthy)
        {
            against = 0;
            return false;
        }
        if (++against < Math.Max(1, success ? rise : fall)) return false;
        against = 0;
        Healthy = success;
        return true;
    }

    /// <summary>Certain knowledge (a refused connection) instead of a sample.</summary>
    public bool Force(bool health)
    {
        against = 0;
        if (Healthy == health) return false;
        Healthy = health;
        return true;
    }
}

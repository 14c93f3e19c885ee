using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Choice;

/// <summary>
/// The less loaded of two picked at random (weighted): nearly as even as asking everybody, without the herd that runs to
/// whoever looks idle in a stale picture. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001.
/// </summary>
internal sealed class TwoChoices : IDestinationChoice
{
    public Backend? Choose(Backend[] candidates, ReadOnlySpan<Backend?> tried, long now, TimeSpan slowStart)
    {
        var first = Pick(candidates, tried, null, now, slowStart);
        if (first is null) return null;
        var second = Pick(candidates, tried, first, now, slowStart);
        return second is null || first.Load(now, slowStart) <= second.Load(now, slowStart) ? first : second;
    }

    private static Backend? Pick(Backend[] candidates, ReadOnlySpan<Backend?> tried, Backend? but, long now, TimeSpan slowStart)
    {
        var sum = 0.0;
        foreach (var one in candidates)
            if (one != but && !tried.Was(one)) sum += one.EffectiveWeight(now, slowStart);
        var point = Random.Shared.NextDouble() * sum;
        Backend? last = null;
        foreach (var one in candidates)
        {
            if (one == but || tried.Was(one)) continue;
            last = one;
            if ((point -= one.EffectiveWeight(now, slowStart)) < 0) return one;
        }
        return last;
    }
}

using System.Runtime.CompilerServices;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Choice;

/// <summary>
/// Everybody in turn, by weight and without bursts (the smooth weighted round robin of nginx): each gains its weight, the
/// richest is chosen and pays the sum.
/// </summary>
internal sealed class RoundRobin : IDestinationChoice
{
    private sealed class Credit { public double Value; }

    private readonly Lock gate = new();
    private readonly ConditionalWeakTable<Backend, Credit> credits = [];

    public Backend? Choose(Backend[] candidates, ReadOnlySpan<Backend?> tried, long now, TimeSpan slowStart)
    {
        lock (gate)
        {
            Backend? best = null;
            Credit? richest = null;
            var sum = 0.0;
            foreach (var one in candidates)
            {
                if (tried.Was(one)) continue;
                var credit = credits.GetValue(one, static _ => new Credit());
                var weight = one.EffectiveWeight(now, slowStart);
                sum += weight;
                credit.Value += weight;
                if (richest is null || credit.Value > richest.Value) (best, richest) = (one, credit);
            }
            if (richest is not null) richest.Value -= sum;
            return best;
        }
    }
}

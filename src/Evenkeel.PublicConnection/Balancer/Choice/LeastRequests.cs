using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Choice;

/// <summary>The least requests in flight in relation to the weight; among equals a random one, else the first would get every idle moment's request.</summary>
internal sealed class LeastRequests : IDestinationChoice
{
    public Backend? Choose(Backend[] candidates, ReadOnlySpan<Backend?> tried, long now, TimeSpan slowStart)
    {
        Backend? best = null;
        var least = double.MaxValue;
        var offset = candidates.Length == 0 ? 0 : Random.Shared.Next(candidates.Length);
        for (var i = 0; i < candidates.Length; i++)
        {
            var one = candidates[(i + offset) % candidates.Length];
            if (tried.Was(one)) continue;
            var load = one.Load(now, slowStart);
            if (load >= least) continue;
            (best, least) = (one, load);
        }
        return best;
    }
}

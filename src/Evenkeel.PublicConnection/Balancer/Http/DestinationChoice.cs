using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Chooses a destination for one attempt of a request.</summary>
internal sealed class DestinationChoice(BalancePolicy policy)
{
    private int _turn;

    /// <param name="all">Every destination of the route.</param>
    /// <param name="tried">Those that this request has failed at: chosen again only when there is no other.</param>
    /// <returns>Null when the controller says that none is up.</returns>
    public Upstream? Choose(IReadOnlyList<Upstream> all, IReadOnlyCollection<Upstream> tried)
    {
        var candidates = all.Where(upstream => upstream.IsUp && !tried.Contains(upstream)).ToList();
        if (candidates.Count == 0)
        {
            // Panic threshold: when our checks say that everything is down, our checks may be what is wrong.
            candidates = [.. all.Where(upstream => upstream.IsDeclaredUp && !tried.Contains(upstream))];
        }

        if (candidates.Count == 0)
        {
            candidates = [.. all.Where(upstream => upstream.IsUp)];
        }

        return candidates.Count switch
        {
            0 => null,
            1 => candidates[0],
            _ => policy switch
            {
                BalancePolicy.RoundRobin => candidates[(int)((uint)Interlocked.Increment(ref _turn) % (uint)candidates.Count)],
                BalancePolicy.LeastRequests => candidates.MinBy(upstream => upstream.InFlight),
                _ => TwoChoices(candidates),
            },
        };
    }

    /// <summary>The less loaded of two drawn at random (Mitzenmacher 2001): nearly as even as least requests, without its herding.</summary>
    private static Upstream TwoChoices(List<Upstream> candidates)
    {
        var first = Random.Shared.Next(candidates.Count);
        var second = Random.Shared.Next(candidates.Count - 1);
        second += second >= first ? 1 : 0;
        return candidates[first].InFlight <= candidates[second].InFlight ? candidates[first] : candidates[second];
    }
}

using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Choice;

/// <summary>Picks the destination of one request. Called concurrently; must not block.</summary>
internal interface IDestinationChoice
{
    /// <summary>One of <paramref name="candidates"/> that is not in <paramref name="tried"/>, or null when there is none.</summary>
    Backend? Choose(Backend[] candidates, ReadOnlySpan<Backend?> tried, long now, TimeSpan slowStart);
}

internal static class Candidates
{
    public static bool Was(this ReadOnlySpan<Backend?> tried, Backend backend)
    {
        foreach (var one in tried)
            if (ReferenceEquals(one, backend)) return true;
        return false;
    }

    /// <summary>Work in relation to what it should get.</summary>
    public static double Load(this Backend backend, long now, TimeSpan slowStart) => (backend.InFlight + 1) / backend.EffectiveWeight(now, slowStart);
}

using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Choice;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// The destinations behind one door, with the lists that a request chooses from. The lists are immutable and replaced as
/// a whole, so that a change of the table never meets a request half-way.
/// </summary>
internal sealed class RoutePool
{
    private sealed record Lists(Backend[] Serving, Backend[] Available);

    private readonly TimeSpan slowStart;
    private volatile Lists lists = new([], []);

    public RoutePool(Route route, TimeSpan slowStart)
    {
        (Route, this.slowStart, Choice) = (route, slowStart, Chosen(route.Balance));
        Places = new Places(this);
    }

    public Route Route { get; private set; }
    public Backend[] All { get; private set; } = [];
    public IDestinationChoice Choice { get; private set; }
    public Places Places { get; }
    public RetryBudget Budget { get; } = new();
    public AddressLimits Clients { get; } = new();
    public DoorSpec Door => Route.Door;

    public void Become(Route next, Backend[] backends)
    {
        if (next.Balance != Route.Balance) Choice = Chosen(next.Balance);
        Route = next;
        All = backends;
    }

    /// <summary>After any change of a destination's state.</summary>
    public void Refresh(long now) =>
        lists = new([.. All.Where(backend => backend.Serving)], [.. All.Where(backend => backend.Available(now))]);

    public bool AnyAvailableBut(Backend backend) => AnyAvailable(other => other != backend);

    public bool AnyAvailable(Predicate<Backend> suits) => Array.Exists(lists.Available, suits);

    public bool IsAvailable(Backend backend) => Array.IndexOf(lists.Available, backend) >= 0;

    /// <summary>The available destination that this ticket names; null when there is none.</summary>
    public Backend? Named(string? ticket)
    {
        if (ticket is null) return null;
        foreach (var backend in lists.Available)
            if (backend.Ticket == ticket) return backend;
        return null;
    }

    /// <summary>
    /// Where a request goes next. When no destination passes our own checks, all that the table still calls up are used
    /// (panic threshold): then rather our prober is sick than all of them. Null when nothing is left to try.
    /// </summary>
    /// <param name="key">What the hashing policies go by; null: nothing, as any other policy.</param>
    public Backend? Choose(ReadOnlySpan<Backend?> tried, ulong? key)
    {
        var now = Environment.TickCount64;
        var current = lists;
        if (key is { } hash && Route.Balance is (BalancePolicy.SourceHash or BalancePolicy.HeaderHash or BalancePolicy.CookieHash))
            return RendezvousHash.Choose(current.Available, tried, hash) ?? RendezvousHash.Choose(current.Serving, tried, hash);
        return Choice.Choose(current.Available, tried, now, slowStart) ?? Choice.Choose(current.Serving, tried, now, slowStart);
    }

    private static IDestinationChoice Chosen(BalancePolicy policy) => policy switch
    {
        BalancePolicy.RoundRobin => new RoundRobin(),
        BalancePolicy.LeastRequests => new LeastRequests(),
        _ => new TwoChoices(),
    };
}

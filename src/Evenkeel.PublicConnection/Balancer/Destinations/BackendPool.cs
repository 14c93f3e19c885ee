using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// All destinations and what is known of them. Three voices: the route table (a destination that it does not call up gets
/// nothing), our own checks, and what requests met. The last two never take the last destination away.
/// </summary>
internal sealed class BackendPool(PoolSettings options) : IDisposable
{
    private const long ShortestEjection = 500, LongestEjection = 10_000;

    /// <param name="Number">Of several entries of one service at one port, which.</param>
    private readonly record struct RouteKey(PublicEndpoint Listen, string Service, int Number);

    private readonly Lock gate = new();
    private readonly Dictionary<(string Service, PrivateEndpoint Endpoint), Backend> backends = [];
    private readonly Dictionary<RouteKey, RoutePool> routes = [];
    private volatile IReadOnlyDictionary<PublicEndpoint, RoutePool[]> doors = new Dictionary<PublicEndpoint, RoutePool[]>();
    private volatile Backend[] all = [];

    public Backend[] All => all;

    /// <summary>What gets no new work and has some under way.</summary>
    public IEnumerable<Carried> Finishing => all.Where(static one => one.InFlight > 0 && (one.Removed || one.Destination.State == DestinationState.Draining))
        .Select(static one => new Carried(one.Destination.Service, one.Destination.Node));

    /// <summary>Running work at a destination must end now; called besides the cancelling of its attempts, from any thread.</summary>
    public Action<Backend>? Cut { get; init; }

    public RoutePool? Find(PublicEndpoint door) => FindAll(door) is [var first, ..] ? first : null;

    /// <summary>The routes that share a door, in the table's order.</summary>
    public RoutePool[] FindAll(PublicEndpoint door) => doors.GetValueOrDefault(door) ?? [];

    public RoutePool[] Routes()
    {
        lock (gate) return [.. routes.Values];
    }

    public void Publish(RouteTable table)
    {
        var now = Environment.TickCount64;
        List<Backend> lost = [];
        lock (gate)
        {
            var wanted = Numbered(table);
            var named = new HashSet<Backend>();
            foreach (var gone in routes.Keys.Except(wanted.Select(pair => pair.Key)).ToList()) routes.Remove(gone);
            foreach (var (key, route) in wanted)
            {
                var known = routes.TryGetValue(key, out var pool);
                if (pool is null) routes[key] = pool = new RoutePool(route, options.SlowStart);
                var behind = route.Destinations.Select(destination => Take(destination, route, isNew: !known, now, lost)).Distinct().ToArray();
                named.UnionWith(behind);
                pool.Become(route, behind);
            }
            foreach (var orphan in backends.Values.Where(backend => !named.Contains(backend) && !backend.Removed))
            {
                orphan.Removed = true;
                if (orphan.ToPrimary) lost.Add(orphan);
                orphan.CancelAt = now + (long)orphan.DrainTimeout.TotalMilliseconds;
            }
            foreach (var backend in named)
            {
                backend.Routes = [.. routes.Values.Where(pool => pool.All.Contains(backend))];
                backend.ToPrimary = Array.Exists(backend.Routes, static pool => pool.Route.ToPrimary);
            }
            // Before anybody can find a route that is new: its lists must not be empty.
            Refresh(now);
            doors = wanted.GroupBy(pair => pair.Key.Listen).ToDictionary(group => group.Key, group => group.Select(pair => routes[pair.Key]).ToArray());
        }
        foreach (var backend in lost) Abandon(backend);
    }

    private List<(RouteKey Key, Route Route)> Numbered(RouteTable table)
    {
        var counts = new Dictionary<(PublicEndpoint, string), int>();
        List<(RouteKey, Route)> numbered = [];
        foreach (var route in table.Routes.Where(route => route.Protocol == options.Protocol))
        {
            var number = counts.GetValueOrDefault((route.Listen, route.Service));
            counts[(route.Listen, route.Service)] = number + 1;
            numbered.Add((new RouteKey(route.Listen, route.Service, number), route));
        }
        return numbered;
    }

    /// <summary>The result of one check of ours.</summary>
    public void Checked(Backend backend, bool success)
    {
        lock (gate)
        {
            if (!backend.Checks.Report(success)) return;
            Turned(backend);
        }
        if (!backend.Checks.Healthy) AbandonIfOthers(backend);
    }

    /// <summary>It refused or did not take a connection: certain enough to leave it at once.</summary>
    public void ConnectFailed(Backend backend)
    {
        backend.Failed();
        Eject(backend);
    }

    public void RequestFailed(Backend backend)
    {
        if (backend.Failed() >= 3) Eject(backend);
    }

    /// <summary>No new work for a while that doubles each time in a row. Never the last one available.</summary>
    public void Eject(Backend backend)
    {
        // Checks of ours will say sooner and better when it is back.
        if (EjectFor(backend, backend.CheckedByHttp ? ShortestEjection : Math.Min(LongestEjection, ShortestEjection << Math.Min(5, backend.EjectionsInARow))))
            backend.EjectionsInARow++;
    }

    /// <summary>No new work for this many milliseconds; false when it gets none already, or is the last one available.</summary>
    public bool EjectFor(Backend backend, long span)
    {
        var now = Environment.TickCount64;
        lock (gate)
        {
            if (backend.EjectedUntil > now || !Others(backend)) return false;
            backend.EjectedUntil = now + span;
            Refresh(now);
            return true;
        }
    }

    /// <summary>What only time brings: ejections end, drains pass their deadline, what is removed and idle is forgotten.</summary>
    public void Tick(long now)
    {
        List<Backend> late = [];
        lock (gate)
        {
            var changed = false;
            foreach (var backend in backends.Values)
            {
                if (backend.EjectedUntil != 0 && backend.EjectedUntil <= now)
                {
                    backend.EjectedUntil = 0;
                    changed = true;
                }
                if (backend.CancelAt <= now && backend.InFlight > 0) late.Add(backend);
            }
            foreach (var idle in backends.Values.Where(backend => backend.Removed && backend.InFlight == 0).ToList())
            {
                backends.Remove((idle.Destination.Service, idle.Destination.Endpoint));
                idle.Dispose();
                changed = true;
            }
            if (changed) Refresh(now);
        }
        foreach (var backend in late)
        {
            backend.Cancel(CancelReason.DrainDeadline, static _ => true);
            Cut?.Invoke(backend);
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            foreach (var backend in backends.Values) backend.Dispose();
            backends.Clear();
            routes.Clear();
            all = [];
        }
    }

    private Backend Take(Destination destination, Route route, bool isNew, long now, List<Backend> lost)
    {
        var (key, health) = ((destination.Service, destination.Endpoint), route.Health);
        if (!backends.TryGetValue(key, out var backend))
        {
            backends[key] = backend = new Backend(destination, health, options.ConnectTimeout);
            if (!isNew) backend.UpSince = now;
        }
        var before = backend.Removed ? DestinationState.Draining : backend.Destination.State;
        backend.Destination = destination;
        backend.Removed = false;
        backend.DrainTimeout = route.DrainTimeout;
        if (backend.Health != health)
        {
            backend.Health = health;
            backend.Checks = new RiseFall(health?.Rise ?? 1, health?.Fall ?? 1, healthy: true);
        }
        if (before == destination.State) return backend;
        backend.CancelAt = destination.State == DestinationState.Draining ? now + (long)route.DrainTimeout.TotalMilliseconds : null;
        if (destination.State == DestinationState.Up && before == DestinationState.Down)
        {
            // Its agent has just found it healthy; what we knew of it is older.
            backend.UpSince = now;
            backend.Checks.Force(true);
            backend.EjectedUntil = 0;
            backend.ShowLife();
        }
        if (destination.State == DestinationState.Down) lost.Add(backend);
        return backend;
    }

    private void Turned(Backend backend)
    {
        var now = Environment.TickCount64;
        if (backend.Checks.Healthy)
        {
            backend.UpSince = now;
            backend.EjectedUntil = 0;
        }
        Refresh(now);
    }

    private void Refresh(long now)
    {
        foreach (var pool in routes.Values)
        {
            pool.Refresh(now);
            pool.Places.Offer();
        }
        all = [.. backends.Values];
    }

    private bool Others(Backend backend) => routes.Values.Where(pool => pool.All.Contains(backend)).All(pool => pool.AnyAvailableBut(backend));

    private void AbandonIfOthers(Backend backend)
    {
        bool others;
        lock (gate) others = Others(backend);
        if (others) Abandon(backend);
    }

    // Running work there ends and, where it may, begins anew elsewhere. On the pool: continuations run inside Cancel.
    private void Abandon(Backend backend) => ThreadPool.UnsafeQueueUserWorkItem(static work =>
    {
        work.backend.DropConnections();
        work.backend.Cancel(CancelReason.Down, static _ => true);
        work.Cut?.Invoke(work.backend);
    }, (backend, Cut), preferLocal: false);
}

using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// One destination as this balancer knows it: what the route table says, what its own checks say, what its requests met.
/// The state is changed only under the pool's lock; counters from anywhere.
/// </summary>
internal sealed class Backend : IDisposable
{
    private readonly Lock attemptsGate = new();
    private readonly TimeSpan connectTimeout;
    private volatile BackendClient client;
    private Attempt? firstAttempt;
    private int inFlight;
    private long lastLife = Environment.TickCount64;
    private long requests, failures, retries, bytesTo, bytesBack;
    private int failuresInARow;
    private long answers, serverErrors;
    private volatile RoutePool[] routes = [];

    public Backend(Destination destination, HealthSpec? health, TimeSpan connectTimeout)
    {
        Destination = destination;
        Health = health;
        this.connectTimeout = connectTimeout;
        // The table's word is a check too (the node's own agent's), so ours begin at healthy.
        Checks = new RiseFall(health?.Rise ?? 1, health?.Fall ?? 1, healthy: true);
        Prefix = "http://" + destination.Endpoint;
        HashSeed = System.IO.Hashing.XxHash3.HashToUInt64(System.Text.Encoding.UTF8.GetBytes(destination.Endpoint.ToString()));
        Ticket = HashSeed.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
        client = new BackendClient(destination.Endpoint, connectTimeout);
    }

    public Destination Destination { get; internal set; }
    public HealthSpec? Health { get; internal set; }
    public RiseFall Checks { get; internal set; }
    public string Prefix { get; }
    /// <summary>Stable over restarts and nodes, so that every balancer hashes alike.</summary>
    public ulong HashSeed { get; }
    /// <summary>What a sticky cookie says of it: the same on every node, and nothing about our networks.</summary>
    public string Ticket { get; }
    /// <summary>It is only ever the owner: once the table no longer names it, it has no right to its connections.</summary>
    public bool ToPrimary { get; internal set; }
    /// <summary>How long its running work may go on once it gets no more.</summary>
    public TimeSpan DrainTimeout { get; internal set; }
    public LatencyHistogram Latency { get; } = new();
    public BackendClient Client => client;

    /// <summary>No new work until then (milliseconds of <see cref="Environment.TickCount64"/>), because of what requests met.</summary>
    public long EjectedUntil { get; internal set; }
    public int EjectionsInARow { get; internal set; }
    /// <summary>Since when it gets work again: slow start counts from here.</summary>
    public long UpSince { get; internal set; } = long.MinValue / 2;
    /// <summary>Running work is cancelled from then on; set when draining began or the table no longer names it.</summary>
    public long? CancelAt { get; internal set; }
    public bool Removed { get; internal set; }

    public int InFlight => Volatile.Read(ref inFlight);
    public long LastLife => Volatile.Read(ref lastLife);
    public long Requests => Volatile.Read(ref requests);
    public long Failures => Volatile.Read(ref failures);
    public long Retries => Volatile.Read(ref retries);
    public long BytesTo => Volatile.Read(ref bytesTo);
    public long BytesBack => Volatile.Read(ref bytesBack);
    public long Answers => Volatile.Read(ref answers);
    public long ServerErrors => Volatile.Read(ref serverErrors);
    /// <summary>The routes that name it.</summary>
    public RoutePool[] Routes { get => routes; set => routes = value; }
    public int FailuresInARow => Volatile.Read(ref failuresInARow);

    /// <summary>The table gives it new work.</summary>
    public bool Serving => Destination.State == DestinationState.Up && !Removed;
    public bool Available(long now) => Serving && Checks.Healthy && EjectedUntil <= now;

    /// <summary>Whether its silence means something: HTTP checks would have shown life although every request is slow.</summary>
    public bool CheckedByHttp => Health is { Kind: ProbeKind.Http or ProbeKind.Grpc };

    /// <summary>It answered something: a request or a check above TCP.</summary>
    public void ShowLife() => Volatile.Write(ref lastLife, Environment.TickCount64);

    /// <summary>Share of the work in relation to the others', with slow start; above zero.</summary>
    public double EffectiveWeight(long now, TimeSpan slowStart)
    {
        var weight = Math.Max(1, Destination.Weight);
        var since = now - UpSince;
        return since >= slowStart.TotalMilliseconds ? weight : weight * Math.Max(0.1, since / slowStart.TotalMilliseconds);
    }

    /// <summary>Counts a connection (TCP) or a request (HTTP) in, unless <paramref name="most"/> are there; each success is followed by one <see cref="Leave"/>.</summary>
    public bool TryEnter(int? most, bool isRetry)
    {
        if (Interlocked.Increment(ref inFlight) > (most ?? int.MaxValue))
        {
            Interlocked.Decrement(ref inFlight);
            return false;
        }
        Interlocked.Increment(ref requests);
        if (isRetry) Interlocked.Increment(ref retries);
        return true;
    }

    public void Leave()
    {
        Interlocked.Decrement(ref inFlight);
        foreach (var route in routes) route.Places.Offer();
    }

    /// <summary>Bytes carried to it and back.</summary>
    public void Carried(long to, long back)
    {
        if (to != 0) Interlocked.Add(ref bytesTo, to);
        if (back != 0) Interlocked.Add(ref bytesBack, back);
    }

    /// <summary>An attempt that has entered can be cancelled from now on; <see cref="End"/> leaves for it.</summary>
    public void Begin(Attempt attempt)
    {
        lock (attemptsGate)
        {
            attempt.Next = firstAttempt;
            attempt.Previous = null;
            if (firstAttempt is not null) firstAttempt.Previous = attempt;
            firstAttempt = attempt;
        }
    }

    public void End(Attempt attempt)
    {
        lock (attemptsGate)
        {
            if (attempt.Previous is null) firstAttempt = attempt.Next;
            else attempt.Previous.Next = attempt.Next;
            if (attempt.Next is not null) attempt.Next.Previous = attempt.Previous;
            attempt.Next = attempt.Previous = null;
        }
        Leave();
    }

    /// <summary>It began an answer with this status.</summary>
    public void Answered(int status, TimeSpan after)
    {
        ShowLife();
        Latency.Record(after);
        Interlocked.Increment(ref answers);
        // Not 501 and 505: these are about the request.
        if (status is 500 or 502 or 503 or 504) Interlocked.Increment(ref serverErrors);
    }

    public void Succeeded()
    {
        if (Volatile.Read(ref failuresInARow) != 0) Volatile.Write(ref failuresInARow, 0);
        if (EjectionsInARow != 0 && EjectedUntil <= Environment.TickCount64) EjectionsInARow = 0;
    }

    public int Failed()
    {
        Interlocked.Increment(ref failures);
        return Interlocked.Increment(ref failuresInARow);
    }

    /// <summary>Whether a running attempt is like this.</summary>
    public bool Any(Predicate<Attempt> like)
    {
        lock (attemptsGate)
            for (var attempt = firstAttempt; attempt is not null; attempt = attempt.Next)
                if (like(attempt)) return true;
        return false;
    }

    /// <summary>Cancels the running attempts that the filter picks; their requests go elsewhere where that is allowed.</summary>
    public int Cancel(CancelReason reason, Func<Attempt, bool> filter)
    {
        List<Attempt> chosen = [];
        lock (attemptsGate)
            for (var attempt = firstAttempt; attempt is not null; attempt = attempt.Next)
                if (filter(attempt)) chosen.Add(attempt);
        // Outside the lock: the callbacks run arbitrary continuations, End among them.
        foreach (var attempt in chosen) attempt.Cancel(reason);
        return chosen.Count;
    }

    /// <summary>Throws the pooled connections away; running work keeps its own until it ends.</summary>
    public void DropConnections()
    {
        var old = client;
        client = new BackendClient(Destination.Endpoint, connectTimeout);
        // Disposal closes idle connections now; those in use are closed when their exchange ends.
        old.Dispose();
    }

    public void Dispose() => client.Dispose();
}

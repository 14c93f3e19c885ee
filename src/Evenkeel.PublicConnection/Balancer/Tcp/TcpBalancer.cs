using System.Collections.Concurrent;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Health;
using Evenkeel.PublicConnection.Balancer.Http;

namespace Evenkeel.PublicConnection.Balancer.Tcp;

/// <summary>
/// The TCP balancer of one node: the same health, choices, drain and limits as for HTTP, per connection. A destination that cannot
/// be reached costs the client nothing but time: others are tried, and when there is none the client waits for one. All members may
/// be called from any thread.
/// </summary>
public sealed class TcpBalancer : IAsyncDisposable
{
    private readonly TcpBalancerOptions options;
    private readonly BackendPool pool;
    private readonly ITcpEngine engine;
    private readonly Watch watch;
    private readonly ConcurrentDictionary<PublicEndpoint, Listener> listeners = new();
    private readonly SemaphoreSlim doorwork = new(1);
    private readonly Lock gate = new();
    private RouteTable table = RouteTable.Empty;
    private volatile bool disposed;

    public TcpBalancer(TcpBalancerOptions? options = null)
    {
        this.options = options ?? new TcpBalancerOptions();
        ITcpEngine? cutter = null;
        pool = new BackendPool(new PoolSettings(PublishProtocol.Tcp, this.options.ConnectTimeout, this.options.SlowStart)) { Cut = backend => cutter?.Cut(backend) };
        engine = cutter = Linux.Sys.Supported && !this.options.Portable ? new Linux.EpollEngine(pool, this.options) : new Portable.PortableEngine(pool, this.options);
        // Connections are silent for hours in good health: only checks and the table tell that a destination is lost.
        watch = new Watch(pool, TimeSpan.FromDays(1), Timeout.InfiniteTimeSpan);
        watch.Start();
    }

    /// <summary>Connections that are being carried or made.</summary>
    public int Connections => engine.Connections;

    /// <summary>Serves this table from now on. Older tables than the last one are ignored.</summary>
    public void Publish(RouteTable next)
    {
        lock (gate)
        {
            if (disposed || next.Version < table.Version) return;
            table = next;
            pool.Publish(next);
        }
    }

    /// <inheritdoc cref="HttpBalancer.OpenAsync"/>
    public async Task<string?> OpenAsync(PublicEndpoint listen, TimeSpan patience, CancellationToken cancellation)
    {
        await doorwork.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (disposed) return "the balancer is stopped";
            if (listeners.ContainsKey(listen)) return null;
            var (socket, error) = await ListenSocket.OpenAsync(listen.ToIPEndPoint(), patience, cancellation).ConfigureAwait(false);
            if (socket is null) return error;
            var listener = new Listener(listen, socket, pool);
            engine.Open(listener);
            listeners[listen] = listener;
            return null;
        }
        finally
        {
            doorwork.Release();
        }
    }

    /// <summary>Accepts no more there: the port is free when this returns; connections are cut after <see cref="TcpBalancerOptions.CloseGrace"/>. Closing a closed door does nothing.</summary>
    public async Task CloseAsync(PublicEndpoint listen)
    {
        await doorwork.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!listeners.TryRemove(listen, out var listener)) return;
            listener.CutAt = Environment.TickCount64 + (long)options.CloseGrace.TotalMilliseconds;
            await engine.CloseAsync(listener).ConfigureAwait(false);
            listener.Socket.Dispose();
        }
        finally
        {
            doorwork.Release();
        }
    }

    /// <summary>Takes no new connections there for now; running ones have no end to wait for, and break when the address moves.</summary>
    public void Quiet(PublicEndpoint listen)
    {
        if (listeners.TryGetValue(listen, out var listener)) ListenSocket.TakeNoNew(listener.Socket);
    }

    /// <summary>
    /// The address has gone elsewhere: connections by it end with a reset, which leaves this machine though the address is not here any
    /// more. Their clients would wait for ever for an answer that nobody sends.
    /// </summary>
    public void Abandon(PublicEndpoint listen)
    {
        if (listeners.TryGetValue(listen, out var listener)) engine.Abandon(listener);
    }

    /// <summary>Takes new connections again.</summary>
    public void Reopen(PublicEndpoint listen)
    {
        if (listeners.TryGetValue(listen, out var listener)) ListenSocket.TakeAgain(listener.Socket);
    }

    /// <summary>Instances that get nothing new and have connections.</summary>
    public IEnumerable<Carried> Finishing => pool.Finishing;

    public TcpStatistics Snapshot()
    {
        var now = Environment.TickCount64;
        return new(
            [.. listeners.Values.Select(one => new TcpDoorStatistics(one.Address, one.Accepted, one.Unserved))],
            [.. pool.All.Where(one => !one.Removed).Select(one => new TcpDestinationStatistics(
                one.Destination.Service, one.Destination.Node, one.Destination.Endpoint, one.Destination.State, one.Checks.Healthy, one.EjectedUntil > now,
                one.InFlight, one.Requests, one.Failures, one.Retries, one.BytesTo, one.BytesBack))]);
    }

    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
        }
        foreach (var listen in listeners.Keys) await CloseAsync(listen).ConfigureAwait(false);
        await watch.DisposeAsync().ConfigureAwait(false);
        await engine.DisposeAsync().ConfigureAwait(false);
        pool.Dispose();
        doorwork.Dispose();
    }
}

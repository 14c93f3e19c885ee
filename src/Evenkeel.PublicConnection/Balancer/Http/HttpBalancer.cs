using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// The HTTP balancer: Kestrel in front, YARP's <see cref="IHttpForwarder"/> behind, our own choice of destination, checks,
/// retries and cancel-on-down between. Every agent has one; which of its doors clients reach is a matter of who owns the VIP.
/// </summary>
public sealed class HttpBalancer : IAsyncDisposable
{
    private static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan BindRetry = TimeSpan.FromMilliseconds(5);

    private readonly ServiceProvider _services = new ServiceCollection().AddLogging().AddHttpForwarder().BuildServiceProvider();
    private readonly HttpMessageInvoker _client = UpstreamClient.Create(ConnectionLifetime);
    private readonly Dictionary<PublicEndpoint, RouteHandler> _handlers = [];
    private readonly Dictionary<PublicEndpoint, HttpDoor> _doors = [];
    private readonly Dictionary<(PublicEndpoint Door, PrivateEndpoint Upstream), (Upstream Upstream, ActiveCheck? Check, HealthSpec? Health)> _upstreams = [];
    private readonly SemaphoreSlim _doorGate = new(1, 1);
    private readonly Lock _tableGate = new();

    /// <summary>The routes from now on. Requests under way at destinations that are still up notice nothing.</summary>
    public void Publish(RouteTable table)
    {
        lock (_tableGate)
        {
            var routes = table.Routes.Where(route => route.Protocol == PublishProtocol.Http).ToList();
            var kept = new HashSet<(PublicEndpoint, PrivateEndpoint)>();
            foreach (var route in routes)
            {
                var upstreams = new List<Upstream>();
                foreach (var destination in route.Destinations)
                {
                    var key = (route.Listen, destination.Endpoint);
                    kept.Add(key);
                    upstreams.Add(UpstreamFor(key, destination, route.Health));
                }

                HandlerOf(route.Listen).Use(upstreams, route.Balance);
            }

            foreach (var gone in _upstreams.Keys.Where(key => !kept.Contains(key)).ToList())
            {
                var (upstream, check, _) = _upstreams[gone];
                check?.Dispose();
                upstream.Update(upstream.Destination with { State = DestinationState.Down });
                _upstreams.Remove(gone);
            }
        }
    }

    /// <summary>Listens on the endpoint; waits a short time for a previous owner's listener to go away.</summary>
    /// <returns>Null when it listens, else why not.</returns>
    public async Task<string?> OpenAsync(PublicEndpoint listen, TimeSpan patience, CancellationToken cancellation)
    {
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        RouteHandler handler;
        lock (_tableGate)
        {
            handler = HandlerOf(listen);
        }

        await _doorGate.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            while (!_doors.ContainsKey(listen))
            {
                try
                {
                    _doors[listen] = await HttpDoor.OpenAsync(listen, handler, cancellation).ConfigureAwait(false);
                }
                catch (IOException exception)
                {
                    if (System.Diagnostics.Stopwatch.GetElapsedTime(began) > patience)
                    {
                        return exception.Message;
                    }

                    await Task.Delay(BindRetry, cancellation).ConfigureAwait(false);
                }
            }

            return null;
        }
        finally
        {
            _doorGate.Release();
        }
    }

    /// <summary>Stops accepting on the endpoint; the port is free when this returns.</summary>
    public async Task CloseAsync(PublicEndpoint listen)
    {
        await _doorGate.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_doors.Remove(listen, out var door))
            {
                door.Close();
            }
        }
        finally
        {
            _doorGate.Release();
        }
    }

    /// <summary>Requests carried and failed so far, by destination.</summary>
    public IReadOnlyList<DestinationStatistics> Snapshot()
    {
        lock (_tableGate)
        {
            return [.. _upstreams.Values.Select(held => new DestinationStatistics(
                held.Upstream.Destination.Service, held.Upstream.Destination.Node, held.Upstream.IsUp,
                held.Upstream.Requests, held.Upstream.Failures, held.Upstream.InFlight))];
        }
    }

    public async ValueTask DisposeAsync()
    {
        Publish(RouteTable.Empty);
        foreach (var door in _doors.Values)
        {
            await door.DisposeAsync().ConfigureAwait(false);
        }

        _client.Dispose();
        await _services.DisposeAsync().ConfigureAwait(false);
        _doorGate.Dispose();
    }

    private RouteHandler HandlerOf(PublicEndpoint listen)
    {
        if (!_handlers.TryGetValue(listen, out var handler))
        {
            handler = _handlers[listen] = new RouteHandler(_services.GetRequiredService<IHttpForwarder>(), _client);
        }

        return handler;
    }

    private Upstream UpstreamFor((PublicEndpoint, PrivateEndpoint) key, Destination destination, HealthSpec? health)
    {
        if (!_upstreams.TryGetValue(key, out var held))
        {
            held = (new Upstream(destination), null, null);
        }

        held.Upstream.Update(destination);
        if (held.Health != health)
        {
            held.Check?.Dispose();
            var check = health is { Kind: ProbeKind.Http or ProbeKind.Tcp } ? new ActiveCheck(held.Upstream, health) : null;
            held = (held.Upstream, check, health);
        }

        _upstreams[key] = held;
        return held.Upstream;
    }
}

/// <summary>What one destination has been given, and how it did.</summary>
public sealed record DestinationStatistics(string Service, NodeName Node, bool Up, long Requests, long Failures, int InFlight);

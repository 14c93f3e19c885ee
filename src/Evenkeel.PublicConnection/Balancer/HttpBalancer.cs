using System.Collections.Concurrent;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Health;
using Evenkeel.PublicConnection.Balancer.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer;

/// <summary>
/// The HTTP balancer of one node. It serves the last route table that was published; a change of the table disturbs no
/// running request to a destination that is still up. All members may be called from any thread.
/// </summary>
public sealed class HttpBalancer : IAsyncDisposable
{
    private readonly HttpBalancerOptions options;
    private readonly ILoggerFactory logs;
    private readonly ServiceProvider services;
    private readonly BackendPool pool;
    private readonly RequestRunner runner;
    private readonly Watch watch;
    private readonly ConcurrentDictionary<PublicEndpoint, Door> doors = new();
    // Opening and closing one after the other; traffic never waits for it.
    private readonly SemaphoreSlim doorwork = new(1);
    private Task binding = Task.CompletedTask;
    private RouteTable table = RouteTable.Empty;
    private volatile bool disposed;

    public HttpBalancer(HttpBalancerOptions? options = null, ILoggerFactory? logs = null)
    {
        this.options = options ?? new HttpBalancerOptions();
        this.logs = logs ?? NullLoggerFactory.Instance;
        services = new ServiceCollection().AddSingleton(this.logs).AddLogging().AddHttpForwarder().BuildServiceProvider();
        pool = new BackendPool(this.options);
        runner = new RequestRunner(services.GetRequiredService<IHttpForwarder>(), pool, this.options);
        watch = new Watch(pool, this.options);
        watch.Start();
    }

    /// <summary>Raised when doors that were bound ahead have changed: true when every published one is bound.</summary>
    public event Action<bool, string?>? DoorsBound;

    /// <summary>Serves this table from now on. Older tables than the last one are ignored.</summary>
    public void Publish(RouteTable next)
    {
        lock (doors)
        {
            if (disposed || next.Version < table.Version) return;
            table = next;
            pool.Publish(next);
            if (options.BindAhead) binding = BindAfterAsync(binding, next);
        }
    }

    /// <summary>
    /// Accepts clients at this address and port. Null when it does (also when it did before), else the reason why not,
    /// in words. Takes as long as the previous owner's socket on this machine needs to disappear, at most
    /// <see cref="HttpBalancerOptions.BindPatience"/>.
    /// </summary>
    public async Task<string?> OpenAsync(PublicEndpoint listen, CancellationToken cancellation = default)
    {
        await doorwork.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (disposed) return "the balancer is stopped";
            if (doors.ContainsKey(listen)) return null;
            var application = new DoorApplication(() => pool.Find(listen), runner);
            var (door, error) = await Door.OpenAsync(listen, application, options, services, logs, cancellation).ConfigureAwait(false);
            if (door is null) return error;
            doors[listen] = door;
            return null;
        }
        finally
        {
            doorwork.Release();
        }
    }

    /// <summary>
    /// Accepts no more there: the port is free within milliseconds, idle connections are closed, running requests may
    /// finish within <paramref name="grace"/> (none by default). Returns when all are gone; closing a closed door does nothing.
    /// </summary>
    public Task CloseAsync(PublicEndpoint listen, TimeSpan grace = default) =>
        doors.TryRemove(listen, out var door) ? door.CloseAsync(grace) : Task.CompletedTask;

    public BalancerStatistics Snapshot()
    {
        var now = Environment.TickCount64;
        return new(
            [.. doors.Values.Select(door => new DoorStatistics(door.Listen, pool.Find(door.Listen)?.Route.Service, door.Application.Requests, door.Application.Unserved))],
            [.. pool.All.Where(one => !one.Removed).Select(one => new DestinationStatistics(
                one.Destination.Service, one.Destination.Node, one.Destination.Endpoint, one.Destination.State, one.Checks.Healthy, one.EjectedUntil > now,
                one.InFlight, one.Requests, one.Failures, one.Retries, one.Latency.Quantile(0.5), one.Latency.Quantile(0.99)))]);
    }

    public async ValueTask DisposeAsync()
    {
        lock (doors)
        {
            if (disposed) return;
            disposed = true;
        }
        await binding.ConfigureAwait(false);
        await doorwork.WaitAsync().ConfigureAwait(false);
        doorwork.Release();
        await Task.WhenAll(doors.Keys.Select(listen => CloseAsync(listen))).ConfigureAwait(false);
        await watch.DisposeAsync().ConfigureAwait(false);
        pool.Dispose();
        await services.DisposeAsync().ConfigureAwait(false);
    }

    private async Task BindAfterAsync(Task earlier, RouteTable wanted)
    {
        await earlier.ConfigureAwait(false);
        var published = wanted.Routes.Where(route => route.Protocol == PublishProtocol.Http).Select(route => route.Listen).ToHashSet();
        var gone = doors.Keys.Where(listen => !published.Contains(listen)).ToList();
        var fresh = published.Where(listen => !doors.ContainsKey(listen)).ToList();
        string? problem = null;
        foreach (var listen in fresh) problem = await OpenAsync(listen).ConfigureAwait(false) ?? problem;
        DoorsBound?.Invoke(problem is null, problem);
        // A door that is published no more: its clients finish in their own time, the next table does not wait for them.
        foreach (var listen in gone) _ = CloseAsync(listen, options.DrainDeadline);
    }
}

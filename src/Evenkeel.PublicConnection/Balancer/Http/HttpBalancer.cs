using System.Collections.Concurrent;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Access;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Health;
using Evenkeel.PublicConnection.Balancer.Tls;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

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
    private readonly CertificateShelf certificates;
    private readonly AccessLogs accessLogs;
    private readonly MaintenancePages pages;
    private readonly ConcurrentDictionary<PublicEndpoint, Door> doors = new();
    // Opening and closing one after the other; traffic never waits for it.
    private readonly SemaphoreSlim doorwork = new(1);
    private readonly List<Task> closing = [];
    private RouteTable table = RouteTable.Empty;
    private volatile bool disposed;

    public HttpBalancer(HttpBalancerOptions? options = null, ILoggerFactory? logs = null)
    {
        this.options = options ?? new HttpBalancerOptions();
        this.logs = logs ?? NullLoggerFactory.Instance;
        services = DoorServices.Build(this.logs);
        pool = new BackendPool(new PoolSettings(PublishProtocol.Http, this.options.ConnectTimeout, this.options.SlowStart));
        pages = new MaintenancePages(this.options.Tell);
        pages.Start();
        runner = new RequestRunner(services.GetRequiredService<IHttpForwarder>(), pool, pages, this.options);
        watch = new Watch(pool, this.options.UncheckedSilence, this.options.IdleTimeout);
        watch.Start();
        certificates = new CertificateShelf(this.options.Tell);
        certificates.Start();
        accessLogs = new AccessLogs(this.options.Tell);
    }

    /// <summary>Serves this table from now on. Older tables than the last one are ignored.</summary>
    public void Publish(RouteTable next)
    {
        lock (doors)
        {
            if (disposed || next.Version < table.Version) return;
            table = next;
            certificates.Keep(next.Routes.SelectMany(route => route.Door.Http.Tls?.Certificates ?? []));
            pages.Keep(next.Routes.Select(route => route.Door.Http.MaintenancePage).OfType<string>());
            pool.Publish(next);
            foreach (var (listen, door) in doors) door.Limit(pool.FindAll(listen));
        }
    }

    /// <summary>Looks at the certificates' files now; it happens every second by itself.</summary>
    public void ReloadCertificates() => certificates.Reload();

    /// <summary>
    /// Accepts clients at this address and port, also before the address is on this machine. Null when it does (also when
    /// it did before), else the reason why not, in words. A previous owner's socket on this machine gets
    /// <paramref name="patience"/> to disappear.
    /// </summary>
    public Task<string?> OpenAsync(PublicEndpoint listen, TimeSpan patience, CancellationToken cancellation) => OpenDoorAsync(listen, null, patience, cancellation);

    /// <summary>The same for a door that ends TLS, as the routes at this address and port say.</summary>
    public Task<string?> OpenTlsAsync(PublicEndpoint listen, TimeSpan patience, CancellationToken cancellation) =>
        OpenDoorAsync(listen, new Handshake(certificates, () => pool.FindAll(listen), options.Tell), patience, cancellation);

    private async Task<string?> OpenDoorAsync(PublicEndpoint listen, Handshake? handshake, TimeSpan patience, CancellationToken cancellation)
    {
        await doorwork.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (disposed) return "the balancer is stopped";
            if (doors.ContainsKey(listen)) return null;
            if (handshake is not null) await Task.Run(handshake.Prepare, cancellation).ConfigureAwait(false);
            var application = new DoorApplication(() => pool.FindAll(listen), runner, handshake, accessLogs);
            var (door, error) = await Door.OpenAsync(listen, application, patience, options, services, logs, cancellation).ConfigureAwait(false);
            if (door is null) return error;
            door.Limit(pool.FindAll(listen));
            doors[listen] = door;
            return null;
        }
        finally
        {
            doorwork.Release();
        }
    }

    /// <summary>
    /// Accepts no more there: the port is free when this returns, idle connections are being closed, and running requests may
    /// finish within <see cref="HttpBalancerOptions.CloseGrace"/>. Closing a closed door does nothing.
    /// </summary>
    public async Task CloseAsync(PublicEndpoint listen)
    {
        await doorwork.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!doors.TryRemove(listen, out var door)) return;
            lock (closing) closing.Add(door.BeginClose(options.CloseGrace));
        }
        finally
        {
            doorwork.Release();
        }
        lock (closing) closing.RemoveAll(static task => task.IsCompletedSuccessfully);
    }

    /// <summary>
    /// Takes no new connections there for now: their SYNs are dropped, so that clients ask again, and meet whoever has the address
    /// then. Ends when requests under way are answered and idle connections closed, at the latest after
    /// <paramref name="within"/>. A door that is not open is quiet.
    /// </summary>
    public Task QuietAsync(PublicEndpoint listen, TimeSpan within) => doors.TryGetValue(listen, out var door) ? door.QuietAsync(within) : Task.CompletedTask;

    /// <inheritdoc cref="Tcp.TcpBalancer.Abandon"/>
    public void Abandon(PublicEndpoint listen)
    {
        if (doors.TryGetValue(listen, out var door)) door.Abandon();
    }

    /// <summary>Takes new connections again.</summary>
    public void Reopen(PublicEndpoint listen)
    {
        if (doors.TryGetValue(listen, out var door)) door.Reopen();
    }

    /// <summary>Instances that get nothing new and have requests under way.</summary>
    public IEnumerable<Carried> Finishing => pool.Finishing;

    public BalancerStatistics Snapshot()
    {
        var now = Environment.TickCount64;
        return new(
            [.. doors.Values.Select(door => new DoorStatistics(door.Listen, pool.Find(door.Listen)?.Route.Service, door.Application.Requests, door.Application.Unserved,
                pool.FindAll(door.Listen).Sum(static route => route.Places.Waiting)))],
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
        await doorwork.WaitAsync().ConfigureAwait(false);
        doorwork.Release();
        foreach (var door in doors.Values) await door.DisposeAsync().ConfigureAwait(false);
        Task[] left;
        lock (closing) left = [.. closing];
        await Task.WhenAll(left).ConfigureAwait(false);
        await watch.DisposeAsync().ConfigureAwait(false);
        await certificates.DisposeAsync().ConfigureAwait(false);
        await accessLogs.DisposeAsync().ConfigureAwait(false);
        await pages.DisposeAsync().ConfigureAwait(false);
        pool.Dispose();
        await services.DisposeAsync().ConfigureAwait(false);
    }
}

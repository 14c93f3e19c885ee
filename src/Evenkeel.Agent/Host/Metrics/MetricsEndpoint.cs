using System.Net;
using Evenkeel.Agent.Control;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evenkeel.Agent.Host.Metrics;

/// <summary>Answers a Prometheus server: on the control socket, and on a private or loopback address where one is configured.</summary>
internal sealed class MetricsEndpoint(RunningMetrics running, Func<CancellationToken, Task<StatusReport>> status, Func<BalancerStatistics> http, Func<TcpStatistics> tcp, Func<NodeDates> dates)
{
    public void Map(IEndpointRouteBuilder routes) => routes.MapGet(ControlRoutes.Metrics, (RequestDelegate)(async http =>
    {
        http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        await WriteAsync(http.Response.Body, http.RequestAborted).ConfigureAwait(false);
    }));

    public async Task WriteAsync(Stream to, CancellationToken cancellation)
    {
        var state = StateMetrics.Of(await status(cancellation).ConfigureAwait(false), http(), tcp(), dates());
        await state.CollectAndExportAsTextAsync(to, cancellation).ConfigureAwait(false);
        await running.Registry.CollectAndExportAsTextAsync(to, cancellation).ConfigureAwait(false);
    }

    /// <summary>Serves them over plain HTTP at <paramref name="address"/>.</summary>
    /// <param name="address"><c>ADDRESS:PORT</c>.</param>
    /// <param name="own">The node's private addresses.</param>
    /// <exception cref="InvalidDataException">The address is neither loopback nor one of the node's private ones: metrics say much
    /// about a cluster, and the public side has no business with them.</exception>
    /// <exception cref="IOException">The port is taken.</exception>
    public async Task<IAsyncDisposable> ListenAsync(string address, IEnumerable<IPAddress> own)
    {
        if (!IPEndPoint.TryParse(address, out var endpoint) || endpoint.Port == 0 || !(IPAddress.IsLoopback(endpoint.Address) || own.Contains(endpoint.Address)))
        {
            throw new InvalidDataException($"agent.json: metrics: '{address}' is not ADDRESS:PORT with a loopback address or a private address of this node; others would show the cluster's insides to clients");
        }

        var builder = BareHost.CreateBuilder();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(endpoint));
        var application = builder.Build();
        Map(application);
        await application.StartAsync().ConfigureAwait(false);
        return application;
    }
}

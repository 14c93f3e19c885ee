using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Access;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Tls;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// What Kestrel runs for each request of one door. Straight to the route, without ASP.NET Core's hosting layer, whose
/// activities, scopes and logs per request are not needed here.
/// </summary>
internal sealed class DoorApplication(Func<RoutePool[]> routes, RequestRunner runner, Handshake? handshake, AccessLogs logs) : IHttpApplication<DoorApplication.Exchange>
{
    /// <summary>Lives as long as its connection (HTTP/1) or stream object (HTTP/2) and is used again.</summary>
    internal sealed class Exchange
    {
        public DefaultHttpContext? Http { get; set; }
    }

    private long requests, unserved;

    public Func<RoutePool[]> Routes => routes;
    /// <summary>Null where the door speaks plain HTTP.</summary>
    public Handshake? Handshake => handshake;
    /// <summary>Counts this door's connections.</summary>
    public AddressLimits Clients { get; } = new();

    public long Requests => Volatile.Read(ref requests);
    public long Unserved => Volatile.Read(ref unserved);

    public Exchange CreateContext(IFeatureCollection contextFeatures)
    {
        var container = contextFeatures as IHostContextContainer<Exchange>;
        var exchange = container?.HostContext ?? new Exchange();
        if (container is not null) container.HostContext = exchange;
        if (exchange.Http is null) exchange.Http = new DefaultHttpContext(contextFeatures);
        else exchange.Http.Initialize(contextFeatures);
        return exchange;
    }

    public async Task ProcessRequestAsync(Exchange context)
    {
        Interlocked.Increment(ref requests);
        var http = context.Http!;
        http.Features.Get<ClientConnections.ClientConnection>()?.Begin();
        var here = routes();
        if (Framing.IsDoubtful(http.Request)) Framing.Refuse(http);
        else if (here.Length == 0) await Unavailable.AnswerAsync(http).ConfigureAwait(false);
        else if (RequestRouting.Find(here, http.Request) is not { } pool) Refusal.Nothing(http);
        else if (pool.Door.Http.AccessLog is { } log) await ServeLoggedAsync(http, pool, log).ConfigureAwait(false);
        else await ServeAsync(http, pool).ConfigureAwait(false);
        if (http.Response.StatusCode >= 502) Interlocked.Increment(ref unserved);
    }

    private async Task ServeLoggedAsync(DefaultHttpContext http, RoutePool pool, AccessLogSpec log)
    {
        var record = AccessRecord.Begin(http);
        try
        {
            await ServeAsync(http, pool).ConfigureAwait(false);
        }
        finally
        {
            logs.Add(log, record.End(http, pool));
        }
    }

    private async ValueTask ServeAsync(DefaultHttpContext http, RoutePool pool)
    {
        if (Refuses(pool, http) is { } status) Refusal.Answer(http, status);
        else if (pool.Door.Http.MaxBodyBytes is { } most && !BodyLimit.Admits(http, most)) return;
        else if (pool.Route.RedirectPort is { } port) SecureTransport.Redirect(http, port);
        else
        {
            HopByHop.IgnoreOtherProtocols(http.Request);
            if (pool.Door.Http.Tls?.Hsts is not null) SecureTransport.Promise(http, pool);
            await runner.RunAsync(http, pool).ConfigureAwait(false);
        }
    }

    // The access list once more: the connection was let in for any of the routes, and the list may have changed since.
    private static int? Refuses(RoutePool pool, DefaultHttpContext http)
    {
        if (pool.Door.RatePerAddress is null && pool.Door.Deny.Count == 0 && pool.Door.Allow.Count == 0 || http.Connection.RemoteIpAddress is not { } client) return null;
        if (!AddressLimits.Allows(pool.Door, client)) return StatusCodes.Status403Forbidden;
        return pool.Clients.TakeToken(pool.Door, client, Environment.TickCount64) ? null : StatusCodes.Status429TooManyRequests;
    }

    public void DisposeContext(Exchange context, Exception? exception) => context.Http!.Uninitialize();
}

using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// What Kestrel runs for each request of one door. Straight to the route, without ASP.NET Core's hosting layer, whose
/// activities, scopes and logs per request are not needed here.
/// </summary>
internal sealed class DoorApplication(Func<RoutePool?> route, RequestRunner runner) : IHttpApplication<DoorApplication.Exchange>
{
    /// <summary>Lives as long as its connection (HTTP/1) or stream object (HTTP/2) and is used again.</summary>
    internal sealed class Exchange
    {
        public DefaultHttpContext? Http { get; set; }
    }

    private long requests, unserved;

    public Func<RoutePool?> Route => route;

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
        if (route() is not { } pool) await Unavailable.AnswerAsync(http).ConfigureAwait(false);
        else if (MayAsk(pool, http)) await runner.RunAsync(http, pool).ConfigureAwait(false);
        else Unavailable.TooMany(http);
        if (http.Response.StatusCode >= 502) Interlocked.Increment(ref unserved);
    }

    // The access list once more: it may have changed since the connection came in.
    private static bool MayAsk(RoutePool pool, DefaultHttpContext http) =>
        pool.Door.RatePerAddress is null && pool.Door.Deny.Count == 0 && pool.Door.Allow.Count == 0
        || http.Connection.RemoteIpAddress is not { } client
        || AddressLimits.Allows(pool.Door, client) && pool.Clients.TakeToken(pool.Door, client, Environment.TickCount64);

    public void DisposeContext(Exchange context, Exception? exception) => context.Http!.Uninitialize();
}

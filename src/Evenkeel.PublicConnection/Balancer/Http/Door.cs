using System.Net.Sockets;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// One published address and port: a Kestrel server of its own, so that doors open and close without touching each other.
/// </summary>
internal sealed class Door : IAsyncDisposable
{
    private readonly KestrelServer server;
    private readonly Socket socket;
    private readonly ClientConnections clients;
    private readonly KestrelServerOptions settings;
    private readonly HttpBalancerOptions options;

    private Door(PublicEndpoint listen, KestrelServer server, KestrelServerOptions settings, HttpBalancerOptions options, Socket socket, ClientConnections clients, DoorApplication application)
    {
        Listen = listen;
        (this.settings, this.options) = (settings, options);
        this.clients = clients;
        this.server = server;
        this.socket = socket;
        Application = application;
    }

    public PublicEndpoint Listen { get; }
    public DoorApplication Application { get; }

    /// <summary>Clients are accepted when this returns a door; else the reason why not.</summary>
    public static async Task<(Door? Door, string? Error)> OpenAsync(
        PublicEndpoint listen, DoorApplication application, TimeSpan patience, HttpBalancerOptions options,
        IServiceProvider services, ILoggerFactory logs, CancellationToken cancellation)
    {
        var (socket, error) = await ListenSocket.OpenAsync(listen.ToIPEndPoint(), patience, cancellation).ConfigureAwait(false);
        if (socket is null) return (null, error);
        var clients = new ClientConnections();
        var settings = Limited(listen, clients, application, options, services);
        var server = new KestrelServer(Options.Create(settings), Transport(socket, logs), logs);
        try
        {
            await server.StartAsync(application, cancellation).ConfigureAwait(false);
            return (new Door(listen, server, settings, options, socket, clients, application), null);
        }
        catch (Exception failure) when (failure is IOException or SocketException or InvalidOperationException)
        {
            server.Dispose();
            socket.Dispose();
            return (null, $"cannot open {listen}: {failure.Message}");
        }
    }

    /// <summary>
    /// The limits of heads as the entries of the port have them from now on: the largest of them, since a head must be read before it is
    /// known which entry it means. Kestrel looks at each request anew (over HTTP/2: each connection).
    /// </summary>
    public void Limit(RoutePool[] routes)
    {
        var bytes = routes.Select(route => route.Door.Http.MaxHeadBytes ?? options.MaxRequestHeadersBytes).DefaultIfEmpty(options.MaxRequestHeadersBytes).Max();
        settings.Limits.MaxRequestHeadersTotalSize = bytes;
        settings.Limits.Http2.MaxRequestHeaderFieldSize = bytes;
        settings.Limits.RequestHeadersTimeout = routes.Select(route => route.Door.Http.HeadTime ?? options.RequestHeadersTimeout).DefaultIfEmpty(options.RequestHeadersTimeout).Max();
    }

    /// <summary>
    /// Takes no new connections (their kernels ask again after a second) until <see cref="Reopen"/>; ends when the others have
    /// ended in order, or <paramref name="within"/> is over.
    /// </summary>
    public async Task QuietAsync(TimeSpan within)
    {
        if (!ListenSocket.TakeNoNew(socket)) return;
        clients.Leave();
        var until = Environment.TickCount64 + (long)within.TotalMilliseconds;
        // A handshake may be half done: quiet means quiet twice in a row.
        for (var quiet = 0; quiet < 2 && clients.Leaving && Environment.TickCount64 < until;)
        {
            await Task.Delay(2).ConfigureAwait(false);
            // The kernel's word comes last, for it costs most: it alone knows of one that was taken from
            // the queue and is not carried yet, and of an answer that its client has not confirmed.
            quiet = clients.IsEmpty && ListenSocket.Queued(socket) == 0 && !SocketTable.HasClients(Listen.ToIPEndPoint()) ? quiet + 1 : 0;
        }
    }

    public void Abandon() => clients.Abandon();

    public void Reopen()
    {
        clients.Stay();
        ListenSocket.TakeAgain(socket);
    }

    /// <summary>
    /// Accepts no more and has freed the port when this returns; the task ends when the connections are gone: idle ones at
    /// once, those with a running request when it ends or <paramref name="grace"/> is over.
    /// </summary>
    public Task BeginClose(TimeSpan grace)
    {
        socket.Dispose();
        return DrainAsync(grace);
    }

    public async ValueTask DisposeAsync() => await BeginClose(TimeSpan.Zero).ConfigureAwait(false);

    private async Task DrainAsync(TimeSpan grace)
    {
        using var patience = new CancellationTokenSource(grace);
        await server.StopAsync(patience.Token).ConfigureAwait(false);
        server.Dispose();
    }

    private static SocketTransportFactory Transport(Socket bound, ILoggerFactory logs) =>
        new(Options.Create(new SocketTransportOptions { CreateBoundListenSocket = _ => bound, Backlog = 4096 }), logs);

    private static KestrelServerOptions Limited(PublicEndpoint listen, ClientConnections clients, DoorApplication application, HttpBalancerOptions options, IServiceProvider services)
    {
        Framing.ForbidBareLineFeeds();
        var kestrel = new KestrelServerOptions { ApplicationServices = services, AddServerHeader = false, AllowSynchronousIO = false };
        kestrel.RequestHeaderEncodingSelector = Framing.Reading;
        kestrel.ResponseHeaderEncodingSelector = static _ => System.Text.Encoding.Latin1;
        kestrel.Limits.MaxRequestBodySize = options.MaxRequestBodyBytes;
        kestrel.Limits.MaxRequestHeadersTotalSize = options.MaxRequestHeadersBytes;
        kestrel.Limits.RequestHeadersTimeout = options.RequestHeadersTimeout;
        kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
        kestrel.Limits.MaxConcurrentUpgradedConnections = options.MaxConnections;
        // Not the host's business: an instance may understand headers that ASP.NET Core would refuse to echo.
        kestrel.Listen(listen.ToIPEndPoint(), listening =>
        {
            // HTTP/2 is agreed on within TLS only; whether it is offered there is the handshake's business.
            listening.Protocols = application.Handshake is null ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2;
            listening.Use(next => connection => clients.CarryAsync(connection, next));
            listening.Use(next => connection => Entrance.AdmitAsync(connection, next, application, options.RequestHeadersTimeout));
            if (application.Handshake is { } handshake)
                listening.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = handshake.AnswerAsync, HandshakeTimeout = options.RequestHeadersTimeout });
        });
        return kestrel;
    }
}

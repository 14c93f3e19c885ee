using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.PublicConnection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// A listener on one public endpoint. On a real VIP it is bound before the address comes (IP_FREEBIND) and stays; without
/// privileges it is opened and closed as the lease comes and goes.
/// </summary>
internal sealed class HttpDoor : IAsyncDisposable
{
    private const int IpFreeBind = 15;
    private const int Ipv6FreeBind = 78;
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);
    private readonly WebApplication _application;
    private Socket? _listening;

    private HttpDoor(WebApplication application) => _application = application;

    /// <exception cref="IOException">The endpoint cannot be bound.</exception>
    public static async Task<HttpDoor> OpenAsync(PublicEndpoint endpoint, RouteHandler handler, CancellationToken cancellation)
    {
        HttpDoor? door = null;
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = [] });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(endpoint.ToIPEndPoint());
        });
        builder.Services.Configure<SocketTransportOptions>(transport =>
            transport.CreateBoundListenSocket = where => door!._listening = Bind(where));
        var application = builder.Build();
        application.Run(handler.HandleAsync);
        door = new HttpDoor(application);
        try
        {
            await application.StartAsync(cancellation).ConfigureAwait(false);
        }
        catch
        {
            await application.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        return door;
    }

    /// <summary>Stops accepting at once; what is under way may end within the grace, in the background.</summary>
    public void Close()
    {
        _listening?.Dispose();
        _ = DisposeAsync().AsTask();
    }

    public async ValueTask DisposeAsync()
    {
        using var grace = new CancellationTokenSource(Grace);
        await _application.StopAsync(grace.Token).ConfigureAwait(false);
        await _application.DisposeAsync().ConfigureAwait(false);
    }

    private static Socket Bind(EndPoint where)
    {
        var socket = new Socket(where.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        if (where.AddressFamily == AddressFamily.InterNetworkV6)
        {
            socket.SetRawSocketOption(41, Ipv6FreeBind, BitConverter.GetBytes(1));
        }
        else
        {
            socket.SetRawSocketOption(0, IpFreeBind, BitConverter.GetBytes(1));
        }

        socket.Bind(where);
        return socket;
    }
}

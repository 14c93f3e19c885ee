using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// The connections to one destination. One pool each, so that a lost destination's dead connections can be thrown away
/// at once: a silently cut one would look alive for minutes.
/// </summary>
internal sealed class BackendClient : IDisposable
{
    private readonly SocketsHttpHandler handler;

    public BackendClient(PrivateEndpoint endpoint, TimeSpan connectTimeout)
    {
        var address = endpoint.ToIPEndPoint();
        handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            // As at the door: bytes beyond ASCII in headers go through as they are, both ways.
            RequestHeaderEncodingSelector = static (_, _) => System.Text.Encoding.Latin1,
            ResponseHeaderEncodingSelector = static (_, _) => System.Text.Encoding.Latin1,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            EnableMultipleHttp2Connections = true,
            MaxConnectionsPerServer = int.MaxValue,
            ConnectTimeout = connectTimeout,
            // Below the keep-alive time of every common server (gunicorn 2 s; Node, Apache and uvicorn 5 s), else a request meets a connection that
            // is just being closed, and one that may not be repeated fails. The cost: who asks less often waits for a handshake, one round trip
            // on the private network.
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(1.5),
            ConnectCallback = (_, cancellation) => ConnectAsync(address, cancellation),
        };
        Repeatable = new HttpMessageInvoker(handler, disposeHandler: false);
        Once = new HttpMessageInvoker(new SendOnceHandler(handler), disposeHandler: false);
    }

    /// <summary>For idempotent requests: may repeat by itself on a connection that broke.</summary>
    public HttpMessageInvoker Repeatable { get; }

    /// <summary>For all others: see <see cref="SendOnceHandler"/>.</summary>
    public HttpMessageInvoker Once { get; }

    public void Dispose()
    {
        Repeatable.Dispose();
        Once.Dispose();
        handler.Dispose();
    }

    private static async ValueTask<Stream> ConnectAsync(IPEndPoint address, CancellationToken cancellation)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            KernelQueues.Limit(socket);
            await socket.ConnectAsync(address, cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

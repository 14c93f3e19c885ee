using System.Net;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Connections to destinations: nothing added, nothing followed, nothing decoded.</summary>
internal static class UpstreamClient
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromMilliseconds(250);

    /// <param name="lifetime">How long a connection is used again; zero makes each request its own.</param>
    public static HttpMessageInvoker Create(TimeSpan lifetime) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        EnableMultipleHttp2Connections = true,
        ConnectTimeout = ConnectTimeout,
        PooledConnectionLifetime = lifetime,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
    });
}

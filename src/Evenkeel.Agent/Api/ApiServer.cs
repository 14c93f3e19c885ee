using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Evenkeel.Agent.Api;

/// <summary>
/// The control API over TLS, where the cluster's file asks for it: opens, moves and closes its port as the file changes. The server
/// shows the node's certificate, so that clients trust the cluster's authority and nothing else.
/// </summary>
/// <param name="map">The same routes as on the local socket.</param>
internal sealed class ApiServer(NodeName self, NodeCertificate certificate, ApiGate gate, Action<WebApplication> map, Action<string> log) : IAsyncDisposable
{
    private const int MostConnections = 256;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private IReadOnlyList<IPEndPoint> _open = [];
    private WebApplication? _application;
    private string? _complaint;

    /// <summary>Why it is not served though the file asks for it; null when all is well.</summary>
    public string? Problem => _complaint;

    public async Task FollowAsync(Func<ClusterSpec?> spec, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Period);
        try
        {
            do
            {
                if (spec() is { } known)
                {
                    await BecomeAsync(EndpointsOf(known, self)).ConfigureAwait(false);
                }
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    internal static IReadOnlyList<IPEndPoint> EndpointsOf(ClusterSpec spec, NodeName self)
    {
        if (spec.Api is not { } api || !spec.Nodes.TryGetValue(self, out var node))
        {
            return [];
        }

        IEnumerable<IPAddress> open = api.Listen == ApiListen.Private ? [] : node.AllPublic;
        IEnumerable<IPAddress> closed = api.Listen == ApiListen.Public ? [] : node.Private;
        return [.. closed.Concat(open).Select(address => new IPEndPoint(address, api.Port))];
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _application, null) is { } application)
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await application.StopAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await application.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task BecomeAsync(IReadOnlyList<IPEndPoint> wanted)
    {
        if (wanted.SequenceEqual(_open) && (_application is not null || wanted.Count == 0))
        {
            return;
        }

        await DisposeAsync().ConfigureAwait(false);
        _open = wanted;
        if (wanted.Count == 0)
        {
            _complaint = null;
            return;
        }

        var application = ControlServer.Build(kestrel => Listen(kestrel, wanted), one =>
        {
            // Before all others, with the route known: it says which role is needed.
            one.UseRouting();
            one.Use(next => http => gate.PassAsync(http, next));
            map(one);
        });
        try
        {
            await application.StartAsync().ConfigureAwait(false);
            (_application, _complaint) = (application, null);
            log($"the control API is served over TLS at {string.Join(", ", wanted)}");
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            await application.DisposeAsync().ConfigureAwait(false);
            if (_complaint != exception.Message)
            {
                log($"the control API cannot be served over TLS: {exception.Message}");
            }

            _complaint = exception.Message;
        }
    }

    private void Listen(KestrelServerOptions kestrel, IReadOnlyList<IPEndPoint> endpoints)
    {
        kestrel.Limits.MaxConcurrentConnections = MostConnections;
        kestrel.Limits.RequestHeadersTimeout = Patience;
        foreach (var endpoint in endpoints)
        {
            kestrel.Listen(endpoint, listener => listener.UseHttps(https =>
            {
                https.ServerCertificateSelector = (_, _) => certificate.Own;
                https.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
                https.HandshakeTimeout = Patience;
            }));
        }
    }
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;

namespace Evenkeel.Agent.Host.Desk;

/// <summary>
/// What a node tells other nodes of its cluster when asked: HTTP under mutual TLS 1.3, on its private addresses alone, on
/// connections of its own that yield to beats. Strangers do not get past the handshake.
/// </summary>
internal static class DeskServer
{
    /// <summary>Query: <c>lines</c>, <c>follow</c>. One JSON <see cref="LogLine"/> a line.</summary>
    public const string Logs = "/v1/own/services/{service}/logs";

    /// <summary>A gzip-compressed tar archive of this node's diagnostics.</summary>
    public const string Diagnostics = "/v1/own/diagnostics";

    /// <summary>POST: a certificate request, PEM. The asker's new certificate, PEM, where the authority's key is; else 404.</summary>
    public const string Certificate = "/v1/own/certificate";

    public const int MostLines = 100_000;
    private const int LargestRequest = 16 << 10;
    private const int MostConnections = 64;

    /// <param name="isMember">The node named by a certificate of this cluster is still in its file.</param>
    /// <param name="diagnostics">Writes this node's diagnostics, secrets cut out.</param>
    /// <param name="renew">Signs a request for the node that asks; null: it cannot.</param>
    /// <param name="refused">Told of who was turned away, and why.</param>
    /// <param name="more">What else is answered, to members alone too.</param>
    /// <param name="logs">This node's own lines of a service: how many of the past, and whether to go on.</param>
    /// <returns>Null, with a line in the log, when an address is not this node's or the port is taken: nothing but logs is lost.</returns>
    public static async Task<IAsyncDisposable?> StartAsync(
        IEnumerable<IPEndPoint> own, NodeCertificate certificate, Func<NodeName, bool> isMember,
        Func<string, int, bool, CancellationToken, IAsyncEnumerable<LogLine>> logs, Func<Stream, CancellationToken, Task> diagnostics,
        Func<NodeName, string, string?> renew, Action<string?, string> refused, Action<string> log, params IEnumerable<Action<WebApplication>> more)
    {
        var builder = BareHost.CreateBuilder();
        builder.Services.Configure<SocketTransportOptions>(transport => transport.CreateBoundListenSocket = Listen);
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            kestrel.Limits.MaxRequestBodySize = LargestRequest;
            foreach (var endpoint in own)
            {
                kestrel.Listen(endpoint, listener => listener.UseHttps(new TlsHandshakeCallbackOptions
                {
                    OnConnection = context => ValueTask.FromResult(certificate.ServerOptions(
                        reason => refused(context.Connection.RemoteEndPoint?.ToString(), reason))),
                }));
            }
        });
        var application = builder.Build();
        application.Use(next => http =>
        {
            if (http.Connection.ClientCertificate is { } theirs && certificate.Revoked.NodeOf(theirs.SerialNumber) is null && isMember(NodeCertificate.NameOf(theirs)))
            {
                return next(http);
            }

            refused(http.Connection.RemoteIpAddress?.ToString(), http.Connection.ClientCertificate is { } shown ? $"its certificate names {NodeCertificate.NameOf(shown)}, which is revoked or no node of the file" : "it showed no certificate");
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
            return Task.CompletedTask;
        });
        application.MapGet(Logs, (RequestDelegate)(http => SendLogsAsync(http, logs)));
        application.MapGet(Diagnostics, (RequestDelegate)(http =>
        {
            http.Response.ContentType = ControlRoutes.ArchiveType;
            return diagnostics(http.Response.Body, http.RequestAborted);
        }));
        application.MapPost(Certificate, (RequestDelegate)(http => RenewAsync(http, renew)));
        foreach (var map in more)
        {
            map(application);
        }

        try
        {
            await application.StartAsync().ConfigureAwait(false);
            return application;
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            log($"other nodes cannot read this node's service logs: {exception.Message}");
            await application.DisposeAsync().ConfigureAwait(false);
            return null;
        }
    }

    private static async Task RenewAsync(HttpContext http, Func<NodeName, string, string?> renew)
    {
        using var reader = new StreamReader(http.Request.Body);
        var request = await reader.ReadToEndAsync(http.RequestAborted).ConfigureAwait(false);
        if (renew(NodeCertificate.NameOf(http.Connection.ClientCertificate!), request) is not { } issued)
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        await http.Response.WriteAsync(issued, http.RequestAborted).ConfigureAwait(false);
    }

    private static Socket Listen(EndPoint endpoint)
    {
        var listener = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Accepted sockets inherit these (tcp(7)).
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            BulkSocket.Apply(listener);
            listener.Bind(endpoint);
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    private static async Task SendLogsAsync(HttpContext http, Func<string, int, bool, CancellationToken, IAsyncEnumerable<LogLine>> logs)
    {
        var stop = http.RequestAborted;
        var lines = int.TryParse(http.Request.Query["lines"], NumberStyles.None, CultureInfo.InvariantCulture, out var wanted) ? Math.Min(wanted, MostLines) : 100;
        http.Response.ContentType = ControlRoutes.StreamType;
        await http.Response.StartAsync(stop).ConfigureAwait(false);
        try
        {
            var service = (string)http.Request.RouteValues["service"]!;
            await foreach (var line in logs(service, lines, http.Request.Query["follow"] == "true", stop).ConfigureAwait(false))
            {
                await http.Response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(line, ControlJson.Default.LogLine), stop).ConfigureAwait(false);
                await http.Response.Body.WriteAsync("\n"u8.ToArray(), stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The asker has seen enough, or is gone.
        }
    }
}

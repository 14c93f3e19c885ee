using Evenkeel.Agent.Host;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using Evenkeel.PrivateConnection.Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Evenkeel.Agent.Enrolment;

/// <summary>The door at which new nodes knock; it opens for who brings a token, and tells everybody else nothing.</summary>
internal static class EnrolmentServer
{
    private const int MostConnections = 16;
    private const int LargestRequest = 16 << 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <returns>Null, with a line in the log, when an address is not this node's or the port is taken: no node can enrol here, nothing else is lost.</returns>
    public static async Task<IAsyncDisposable?> StartAsync(IEnumerable<IPEndPoint> own, NodeCertificate certificate, EnrolmentOffice office, Action<string> log)
    {
        var builder = BareHost.CreateBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            kestrel.Limits.MaxRequestBodySize = LargestRequest;
            kestrel.Limits.RequestHeadersTimeout = Patience;
            kestrel.Limits.KeepAliveTimeout = Patience;
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(1000, Patience);
            foreach (var endpoint in own)
            {
                kestrel.Listen(endpoint, listener => listener.UseHttps(https =>
                {
                    https.ServerCertificateSelector = (_, _) => certificate.Own;
                    https.SslProtocols = SslProtocols.Tls13;
                    https.HandshakeTimeout = Patience;
                }));
            }
        });
        var application = builder.Build();
        application.MapGet(EnrolmentRoutes.Authority, (RequestDelegate)(http => http.Response.WriteAsync(office.AuthorityPem, http.RequestAborted)));
        application.MapPost(EnrolmentRoutes.Enrol, (RequestDelegate)(http => EnrolAsync(http, office)));
        try
        {
            await application.StartAsync().ConfigureAwait(false);
            return application;
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            log($"no node can enrol here: {exception.Message}");
            await application.DisposeAsync().ConfigureAwait(false);
            return null;
        }
    }

    private static async Task EnrolAsync(HttpContext http, EnrolmentOffice office)
    {
        EnrolmentRequest? request = null;
        try
        {
            request = await JsonSerializer.DeserializeAsync(http.Request.Body, EnrolmentJson.Default.EnrolmentRequest, http.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException or Microsoft.AspNetCore.Http.BadHttpRequestException)
        {
            // Answered like every other refusal.
        }

        if (office.Enrol(request, http.Connection.RemoteIpAddress) is { } answer)
        {
            http.Response.ContentType = "application/json";
            await JsonSerializer.SerializeAsync(http.Response.Body, answer, EnrolmentJson.Default.EnrolmentAnswer, http.RequestAborted).ConfigureAwait(false);
        }
        else
        {
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
        }
    }
}

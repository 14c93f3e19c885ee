using System.Globalization;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Clients are brought to TLS and kept there.</summary>
internal static class SecureTransport
{
    /// <summary>308 (RFC 9110, 15.4.9): method and body stay. A client that names no host gets 400.</summary>
    public static void Redirect(HttpContext http, int port)
    {
        var request = http.Request;
        if (!request.Host.HasValue)
        {
            Refusal.Answer(http, StatusCodes.Status400BadRequest);
            return;
        }
        var authority = port == 443 ? request.Host.Host : string.Create(CultureInfo.InvariantCulture, $"{request.Host.Host}:{port}");
        http.Response.Headers.Location = $"https://{new HostString(authority).ToUriComponent()}{request.Path.ToUriComponent()}{request.QueryString.ToUriComponent()}";
        Refusal.Answer(http, StatusCodes.Status308PermanentRedirect);
    }

    /// <summary>Strict-Transport-Security (RFC 6797) on whatever is answered; an instance's own word gives way.</summary>
    public static void Promise(HttpContext http, RoutePool route) => http.Response.OnStarting(static state =>
    {
        var (http, route) = ((HttpContext, RoutePool))state;
        if (route.Door.Http.Tls?.Hsts is { } time)
            http.Response.Headers.StrictTransportSecurity = string.Create(CultureInfo.InvariantCulture, $"max-age={(long)time.TotalSeconds}");
        return Task.CompletedTask;
    }, (http, route));
}

using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>The cookie by which a client finds back to its instance, whichever node balances.</summary>
internal static class StickyCookie
{
    /// <summary>The instance that the request's cookie names, when it is there and well.</summary>
    public static Backend? Read(HttpContext http, RoutePool route) =>
        route.Door.Http.Sticky is { } sticky ? route.Named(http.Request.Cookies[sticky.Cookie]) : null;

    /// <summary>Tells the client where it was served, unless it knows.</summary>
    public static void Write(HttpContext http, StickySpec sticky, Backend backend)
    {
        if (http.Request.Cookies[sticky.Cookie] == backend.Ticket) return;
        http.Response.Cookies.Append(sticky.Cookie, backend.Ticket, new CookieOptions
        {
            Path = "/", HttpOnly = true, SameSite = SameSiteMode.Lax, Secure = http.Request.IsHttps, MaxAge = sticky.For, IsEssential = true,
        });
    }
}

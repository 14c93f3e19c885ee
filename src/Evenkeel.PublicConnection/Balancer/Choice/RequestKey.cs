using System.IO.Hashing;
using System.Runtime.InteropServices;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Choice;

/// <summary>What a request is hashed by.</summary>
internal static class RequestKey
{
    /// <summary>Null when its route does not hash, or the request has nothing to go by: then it is balanced like any other.</summary>
    public static ulong? Of(HttpContext http, RoutePool route) => route.Route.Balance switch
    {
        BalancePolicy.SourceHash when http.Connection.RemoteIpAddress is { } client => RendezvousHash.KeyOf(client),
        BalancePolicy.HeaderHash when route.Door.Http.HashOf is { } header => Of(http.Request.Headers[header].ToString()),
        BalancePolicy.CookieHash when route.Door.Http.HashOf is { } cookie => Of(http.Request.Cookies[cookie]),
        _ => null,
    };

    private static ulong? Of(string? text) => string.IsNullOrEmpty(text) ? null : XxHash3.HashToUInt64(MemoryMarshal.AsBytes(text.AsSpan()));
}

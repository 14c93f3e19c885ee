using System.Net;
using System.Net.Http;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Tells the destination who the client is: <c>X-Forwarded-For</c>, <c>-Proto</c>, <c>-Host</c>. What a client itself sent
/// under these names (or as <c>Forwarded</c>, RFC 7239, or <c>X-Real-IP</c>) is dropped, since it could claim to be anybody; only a
/// trusted proxy's words are kept and appended to.
/// </summary>
internal sealed class ForwardedHeaders(IReadOnlyList<IPNetwork> trusted)
{
    private const string For = "X-Forwarded-For", Proto = "X-Forwarded-Proto", Host = "X-Forwarded-Host";

    public void Apply(HttpContext client, HttpRequestMessage request)
    {
        var address = client.Connection.RemoteIpAddress;
        if (address is { IsIPv4MappedToIPv6: true }) address = address.MapToIPv4();
        var headers = request.Headers;
        var believed = trusted.Count > 0 && address is not null && trusted.Any(network => network.Contains(address));
        var chain = believed && client.Request.Headers.TryGetValue(For, out var earlier) ? earlier.ToString() : "";
        headers.Remove(For);
        if (!believed)
        {
            headers.Remove("Forwarded");
            headers.Remove("X-Real-IP");
            headers.Remove(Proto);
            headers.Remove(Host);
        }
        if (address is not null) headers.TryAddWithoutValidation(For, chain.Length == 0 ? address.ToString() : $"{chain}, {address}");
        if (!headers.Contains(Proto)) headers.TryAddWithoutValidation(Proto, client.Request.Scheme);
        if (!headers.Contains(Host) && client.Request.Host.HasValue) headers.TryAddWithoutValidation(Host, client.Request.Host.Value);
    }
}

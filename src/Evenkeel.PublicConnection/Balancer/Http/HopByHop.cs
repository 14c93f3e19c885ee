using System.Net.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Headers that a request's <c>Connection</c> names are for us alone and go no further (RFC 9110, 7.6.1). Where it also says <c>keep-alive</c>,
/// <c>close</c> or <c>upgrade</c>, Kestrel keeps that alone and the names are lost: such headers are passed on.</summary>
internal static class HopByHop
{
    /// <summary>A server may ignore <c>Upgrade</c> (RFC 9110, 7.8): of all protocols only WebSockets go on, the forwarder knows one more.</summary>
    public static void IgnoreOtherProtocols(HttpRequest client)
    {
        var upgrade = client.Headers.Upgrade;
        if (upgrade.Count > 0 && !(upgrade is [{ } only] && only.Equals("websocket", StringComparison.OrdinalIgnoreCase))) client.Headers.Upgrade = default;
    }

    public static void Remove(HttpRequest client, HttpRequestMessage request)
    {
        var connection = client.Headers.Connection;
        if (connection.Count == 0 || connection is [var one] && (one is null || one.Equals("keep-alive", StringComparison.OrdinalIgnoreCase))) return;
        foreach (var line in connection)
            foreach (var range in line.AsSpan().Split(','))
            {
                var name = line.AsSpan()[range].Trim();
                // These say where the request goes and where it ends, or make it another protocol's; the forwarder sees to them.
                if (name.Is(HeaderNames.Host) || name.Is(HeaderNames.Upgrade) || name.StartsWith("Content-", StringComparison.OrdinalIgnoreCase)
                    || name.StartsWith("Sec-WebSocket-", StringComparison.OrdinalIgnoreCase)) continue;
                if (FieldName.IsOne(name)) request.Headers.Remove(name.ToString());
            }
    }
}

using System.Net;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Connections;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Lets a client's connection in, or not, before a byte of it is read.</summary>
internal static class Entrance
{
    public static async Task AdmitAsync(ConnectionContext connection, ConnectionDelegate next, Func<RoutePool?> route)
    {
        if (route() is not { } pool || connection.RemoteEndPoint is not IPEndPoint { Address: var client })
        {
            await next(connection).ConfigureAwait(false);
            return;
        }
        if (!AddressLimits.Allows(pool.Door, client) || !pool.Clients.TryEnter(pool.Door, client))
        {
            connection.Abort();
            return;
        }
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            pool.Clients.Leave(client);
        }
    }
}

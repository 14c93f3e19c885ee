using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Microsoft.AspNetCore.Connections;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Lets a client's connection in, or not, before a byte of its own is read. What it will ask for is not known yet, so with several
/// routes at a port it must be allowed by one of them, and the strictest limit on connections counts.
/// </summary>
internal static class Entrance
{
    public static async Task AdmitAsync(ConnectionContext connection, ConnectionDelegate next, DoorApplication door, TimeSpan patience)
    {
        var routes = door.Routes();
        if (connection.RemoteEndPoint is IPEndPoint peer && Listener.MustAnnounce(routes, peer.Address) && !await Announcement.TakeAsync(connection, patience).ConfigureAwait(false))
        {
            connection.Abort();
            return;
        }
        if (routes.Length == 0 || connection.RemoteEndPoint is not IPEndPoint { Address: var client })
        {
            await next(connection).ConfigureAwait(false);
            return;
        }
        if (!routes.Any(route => AddressLimits.Allows(route.Door, client)) || !door.Clients.TryEnter(Strictest(routes), client))
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
            door.Clients.Leave(client);
        }
    }

    private static DoorSpec Strictest(RoutePool[] routes) => routes.Length == 1 ? routes[0].Door : new DoorSpec
    {
        MaxConnections = routes.Min(route => route.Door.MaxConnections),
        MaxConnectionsPerAddress = routes.Min(route => route.Door.MaxConnectionsPerAddress),
    };
}

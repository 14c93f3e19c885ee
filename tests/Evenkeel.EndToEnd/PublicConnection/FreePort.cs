using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>A loopback address and port that nobody listened on a moment ago.</summary>
internal static class FreePort
{
    public static PublicEndpoint Take()
    {
        using var free = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        free.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return new PublicEndpoint(IPAddress.Loopback, ((IPEndPoint)free.LocalEndPoint!).Port);
    }
}

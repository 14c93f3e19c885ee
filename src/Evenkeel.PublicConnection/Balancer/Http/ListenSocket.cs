using System.Net;
using System.Net.Sockets;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Sockets that clients connect to. They may be bound before their address is on this machine (IP_FREEBIND, ip(7);
/// IPV6_FREEBIND), so that a VIP that arrives meets an open door.
/// </summary>
internal static class ListenSocket
{
    private const int SolSocket = 1, SoReuseAddress = 2;
    private const int SolIp = 0, IpFreebind = 15, SolIpv6 = 41, Ipv6Freebind = 78;
    private const int Backlog = 4096;
    private static readonly TimeSpan retryEvery = TimeSpan.FromMilliseconds(5);

    /// <summary>
    /// A listening socket, or the reason why there is none. An address in use is tried again until
    /// <paramref name="patience"/> is over: on one machine the previous owner's door may just be closing.
    /// </summary>
    public static async Task<(Socket? Socket, string? Error)> OpenAsync(IPEndPoint address, TimeSpan patience, CancellationToken cancellation)
    {
        var started = Environment.TickCount64;
        while (true)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                if (OperatingSystem.IsLinux()) Prepare(socket);
                if (address.AddressFamily == AddressFamily.InterNetworkV6) socket.DualMode = false;
                socket.Bind(address);
                // Two sockets may be bound under SO_REUSEADDR; only one can listen.
                socket.Listen(Backlog);
                return (socket, null);
            }
            catch (SocketException failure)
            {
                socket.Dispose();
                if (failure.SocketErrorCode != SocketError.AddressAlreadyInUse || Environment.TickCount64 - started >= patience.TotalMilliseconds)
                    return (null, $"cannot listen on {address}: {failure.Message}");
            }
            await Task.Delay(retryEvery, cancellation).ConfigureAwait(false);
        }
    }

    private static void Prepare(Socket socket)
    {
        ReadOnlySpan<byte> on = [1, 0, 0, 0];
        // Not SocketOptionName.ReuseAddress: on Linux .NET sets SO_REUSEPORT with it, and then two owners could listen at once.
        socket.SetRawSocketOption(SolSocket, SoReuseAddress, on);
        if (socket.AddressFamily == AddressFamily.InterNetworkV6) socket.SetRawSocketOption(SolIpv6, Ipv6Freebind, on);
        else socket.SetRawSocketOption(SolIp, IpFreebind, on);
    }
}

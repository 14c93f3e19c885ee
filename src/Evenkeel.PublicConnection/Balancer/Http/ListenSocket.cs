using System.Net;
using System.Net.Sockets;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Sockets that clients connect to. They may be bound before their address is on this machine (IP_FREEBIND, ip(7);
/// IPV6_FREEBIND), so that a VIP that arrives meets an open door.
/// </summary>
internal static class ListenSocket
{
    private const int SolSocket = 1, SoReuseAddress = 2;
    private const int SolIp = 0, IpFreebind = 15, SolIpv6 = 41, Ipv6Freebind = 78, IpTransparent = 19, Ipv6Transparent = 75;
    private const int SoAttachFilter = 26, SoDetachFilter = 27, SolTcp = 6, TcpInfo = 11;
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

    /// <summary>
    /// Drops every SYN from now on, silently, by a filter on the socket (SO_ATTACH_FILTER, socket(7)); handshakes under way end well.
    /// </summary>
    /// <returns>False where the system cannot, or the socket is closed.</returns>
    public static unsafe bool TakeNoNew(Socket socket)
    {
        // Classic BPF over the TCP header: load the flags (byte 13); SYN set: keep nothing; else everything.
        var filter = stackalloc ulong[] { Instruction(0x30, 0, 0, 13), Instruction(0x45, 1, 0, 0x02), Instruction(0x06, 0, 0, uint.MaxValue), Instruction(0x06, 0, 0, 0) };
        var program = stackalloc nuint[] { 4, (nuint)filter };
        return Set(socket, SoAttachFilter, new ReadOnlySpan<byte>(program, 2 * sizeof(nuint)));
    }

    /// <summary>The end of <see cref="TakeNoNew"/>.</summary>
    public static void TakeAgain(Socket socket) => Set(socket, SoDetachFilter, [0, 0, 0, 0]);

    /// <summary>Connections that are made but not yet accepted (<c>tcpi_unacked</c> of a listening socket); 0 where that is not known.</summary>
    public static int Queued(Socket socket)
    {
        Span<byte> information = stackalloc byte[104];
        try
        {
            return OperatingSystem.IsLinux() && socket.GetRawSocketOption(SolTcp, TcpInfo, information) >= 28 ? BitConverter.ToInt32(information[24..]) : 0;
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            return 0;
        }
    }

    private static bool Set(Socket socket, int option, ReadOnlySpan<byte> value)
    {
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            socket.SetRawSocketOption(SolSocket, option, value);
            return true;
        }
        catch (Exception refused) when (refused is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    private static ulong Instruction(ushort code, byte whenTrue, byte whenFalse, uint value) =>
        code | (ulong)whenTrue << 16 | (ulong)whenFalse << 24 | (ulong)value << 32;

    private static void Prepare(Socket socket)
    {
        ReadOnlySpan<byte> on = [1, 0, 0, 0];
        // Not SocketOptionName.ReuseAddress: on Linux .NET sets SO_REUSEPORT with it, and then two owners could listen at once.
        socket.SetRawSocketOption(SolSocket, SoReuseAddress, on);
        if (socket.AddressFamily == AddressFamily.InterNetworkV6) socket.SetRawSocketOption(SolIpv6, Ipv6Freebind, on);
        else socket.SetRawSocketOption(SolIp, IpFreebind, on);
        // Inherited by what is accepted.
        KernelQueues.LimitUnsent(socket);
        try
        {
            // Inherited by what is accepted: the reset that ends a connection goes out even when its address has gone from here (ip(7)).
            if (socket.AddressFamily == AddressFamily.InterNetworkV6) socket.SetRawSocketOption(SolIpv6, Ipv6Transparent, on);
            else socket.SetRawSocketOption(SolIp, IpTransparent, on);
        }
        catch (SocketException)
        {
            // Not permitted to this user: then such a client waits until its own patience ends.
        }
    }
}

using System.Net.Sockets;

namespace Evenkeel.PrivateConnection.Transport;

/// <summary>Socket options of every private TCP connection.</summary>
internal static class TcpTuning
{
    private const int IpProtoTcp = 6;
    private const int TcpUserTimeout = 18; // linux/tcp.h

    /// <summary>
    /// No delay, and an end to the connection when what was sent stays unacknowledged for <paramref name="unacknowledged"/>
    /// (RFC 5482; the kernel looks when it retransmits, so up to twice as late).
    /// </summary>
    public static void Apply(Socket socket, TimeSpan unacknowledged)
    {
        socket.NoDelay = true;
        Span<byte> value = stackalloc byte[sizeof(int)];
        BitConverter.TryWriteBytes(value, (int)unacknowledged.TotalMilliseconds);
        socket.SetRawSocketOption(IpProtoTcp, TcpUserTimeout, value);
    }
}

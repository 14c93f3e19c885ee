using System.Net.Sockets;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// How much the kernel keeps for one connection. Left alone its queues grow to megabytes (<c>tcp_wmem</c>, <c>tcp_rmem</c>): a thousand
/// clients that do not read took all the memory that it has for TCP, and everybody else waited. See docs/decisions/kernel-queues.md.
/// </summary>
internal static class KernelQueues
{
    /// <summary>The most, in bytes, that waits to be sent for the first time (TCP_NOTSENT_LOWAT, tcp(7)). What is under way counts apart, so that a long and fast line is filled all the same.</summary>
    public const int Unsent = 128 * 1024;
    /// <summary>The most, in bytes, that an instance may have sent ahead of its client (SO_RCVBUF, socket(7)); the kernel doubles it for its own bookkeeping, and caps it at <c>net.core.rmem_max</c>.</summary>
    public const int Received = 208 * 1024;
    /// <summary>Level and name of TCP_NOTSENT_LOWAT on Linux.</summary>
    public const int TcpLevel = 6, NotSentLowWater = 25;

    /// <summary>For a connection to a client: set on the listening socket, and inherited by what it accepts.</summary>
    public static void LimitUnsent(Socket socket)
    {
        if (OperatingSystem.IsLinux()) socket.SetRawSocketOption(TcpLevel, NotSentLowWater, BitConverter.GetBytes(Unsent));
    }

    /// <summary>For a connection to an instance, before it is made.</summary>
    public static void Limit(Socket socket)
    {
        LimitUnsent(socket);
        socket.ReceiveBufferSize = Received;
    }
}

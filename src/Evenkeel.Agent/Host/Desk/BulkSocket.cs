using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Evenkeel.Agent.Host.Desk;

/// <summary>
/// Socket options of transfers between nodes that may be large: they yield to beats. The kernel paces what leaves
/// (SO_MAX_PACING_RATE, socket(7)), and queues it behind everything else (SO_PRIORITY, tc-pfifo_fast(8): bulk).
/// </summary>
internal static class BulkSocket
{
    /// <summary>Bytes a second and connection: an eighth of a gigabit link.</summary>
    public const uint PacingRate = 16 << 20;

    private const int SolSocket = 1, SoPriority = 12, SoMaxPacingRate = 47; // asm-generic/socket.h
    private const int Bulk = 2; // linux/pkt_sched.h, TC_PRIO_BULK

    public static void Apply(Socket socket)
    {
        Set(socket, SoPriority, Bulk);
        Set(socket, SoMaxPacingRate, unchecked((int)PacingRate));
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
    }

    /// <summary>What the kernel holds the socket to; for tests.</summary>
    public static uint PacingOf(Socket socket)
    {
        Span<byte> value = stackalloc byte[sizeof(uint)];
        socket.GetRawSocketOption(SolSocket, SoMaxPacingRate, value);
        return MemoryMarshal.Read<uint>(value);
    }

    private static void Set(Socket socket, int option, int value) =>
        socket.SetRawSocketOption(SolSocket, option, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)));
}

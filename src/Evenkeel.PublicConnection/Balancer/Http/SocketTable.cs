using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// The kernel's table of connections, asked for one port's (sock_diag(7)): its whole text, /proc/net/tcp, takes tens of milliseconds where
/// some thousand connections have just ended, and new clients wait for as long.
/// </summary>
internal static unsafe partial class SocketTable
{
    private const int Netlink = 16, RawCloseOnExec = 3 | 0x80000, SocketDiagnostics = 4;
    private const int DontWait = 0x40;
    private const ushort ByFamily = 20, ErrorMessage = 2, Done = 3, RequestDump = 0x301;
    private const int HeadBytes = 16, RequestBytes = HeadBytes + 56;
    private const byte Tcp = 6;
    // Established, SYN received, FIN-WAIT-1, CLOSE-WAIT, LAST-ACK, CLOSING, and a SYN received that has no socket yet: bit n is state n.
    private const uint Connected = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12;

    /// <summary>Somebody is connected to the address, is about to be, or has not yet confirmed all that was sent; as the kernel has it.</summary>
    public static bool HasClients(IPEndPoint address) => (OperatingSystem.IsLinux() ? Ask(address) : null) ?? Read(address);

    /// <summary>By the text, where the kernel does not answer otherwise.</summary>
    public static bool Read(IPEndPoint address) => IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpConnections().Any(connection =>
        connection.State is TcpState.SynReceived or TcpState.Established or TcpState.CloseWait or TcpState.FinWait1 or TcpState.LastAck or TcpState.Closing
        && connection.LocalEndPoint.Equals(address));

    /// <returns>Null where the kernel does not say.</returns>
    public static bool? Ask(IPEndPoint address)
    {
        var descriptor = socket(Netlink, RawCloseOnExec, SocketDiagnostics);
        if (descriptor < 0) return null;
        try
        {
            return Send(descriptor, address) ? Receive(descriptor, address.Address) : null;
        }
        finally
        {
            _ = close(descriptor);
        }
    }

    private static bool Send(int descriptor, IPEndPoint address)
    {
        // struct nlmsghdr, then struct inet_diag_req_v2 (linux/inet_diag.h).
        Span<byte> request = stackalloc byte[RequestBytes];
        request.Clear();
        MemoryMarshal.Write(request, RequestBytes);
        MemoryMarshal.Write(request[4..], ByFamily);
        MemoryMarshal.Write(request[6..], RequestDump);
        request[HeadBytes] = (byte)(address.AddressFamily == AddressFamily.InterNetworkV6 ? 10 : 2);
        request[HeadBytes + 1] = Tcp;
        MemoryMarshal.Write(request[(HeadBytes + 4)..], Connected);
        BinaryPrimitives.WriteUInt16BigEndian(request[(HeadBytes + 8)..], (ushort)address.Port);
        fixed (byte* bytes = request) return send(descriptor, bytes, RequestBytes, 0) == RequestBytes;
    }

    private static bool? Receive(int descriptor, IPAddress wanted)
    {
        Span<byte> address = stackalloc byte[16];
        wanted.TryWriteBytes(address, out var addressBytes);
        address = address[..addressBytes];
        var answers = new byte[32768];
        while (true)
        {
            nint count;
            // The kernel makes the next part of the answer inside each call: there is nothing to wait for.
            fixed (byte* into = answers) count = recv(descriptor, into, answers.Length, DontWait);
            if (count <= 0) return null;
            for (var rest = answers.AsSpan(0, (int)count); rest.Length >= HeadBytes;)
            {
                var length = MemoryMarshal.Read<int>(rest);
                var type = MemoryMarshal.Read<ushort>(rest[4..]);
                if (type == Done) return false;
                if (type == ErrorMessage || length < HeadBytes || length > rest.Length) return null;
                // struct inet_diag_msg: the local address after the family, the state, two more bytes and both ports.
                if (type == ByFamily && rest.Slice(HeadBytes + 8, addressBytes).SequenceEqual(address)) return true;
                rest = rest[Math.Min(rest.Length, (length + 3) & ~3)..];
            }
        }
    }

    [LibraryImport("libc")] private static partial int socket(int family, int type, int protocol);
    [LibraryImport("libc")] private static partial nint send(int descriptor, void* from, nint bytes, int flags);
    [LibraryImport("libc")] private static partial nint recv(int descriptor, void* into, nint bytes, int flags);
    [LibraryImport("libc")] private static partial int close(int descriptor);
}

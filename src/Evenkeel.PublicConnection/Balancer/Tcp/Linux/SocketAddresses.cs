using System.Buffers.Binary;
using System.Net;

namespace Evenkeel.PublicConnection.Balancer.Tcp.Linux;

/// <summary><c>struct sockaddr_in</c> and <c>sockaddr_in6</c> (ip(7), ipv6(7)).</summary>
internal static unsafe class SocketAddresses
{
    private const ushort Ipv4 = 2, Ipv6 = 10;

    /// <summary>Returns the length; <paramref name="space"/> has at least 28 bytes.</summary>
    public static int Write(IPEndPoint address, byte* space)
    {
        var bytes = new Span<byte>(space, 28);
        bytes.Clear();
        var six = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6;
        *(ushort*)space = six ? Ipv6 : Ipv4;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)address.Port);
        address.Address.TryWriteBytes(bytes[(six ? 8 : 4)..], out _);
        if (six) *(uint*)(space + 24) = (uint)address.Address.ScopeId;
        return six ? 28 : 16;
    }

    /// <summary>Null for any other family. An IPv4 address mapped into IPv6 is read as IPv4.</summary>
    public static IPEndPoint? Read(byte* space)
    {
        var bytes = new ReadOnlySpan<byte>(space, 28);
        var port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        if (*(ushort*)space == Ipv4) return new IPEndPoint(new IPAddress(bytes.Slice(4, 4)), port);
        if (*(ushort*)space != Ipv6) return null;
        var address = new IPAddress(bytes.Slice(8, 16), *(uint*)(space + 24));
        return new IPEndPoint(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, port);
    }
}

using System.Net;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>Sends neighbour discovery messages and receives advertisements over a raw ICMPv6 socket. Never waits.</summary>
internal sealed unsafe class NeighbourSocket : IDisposable
{
    private const int Icmpv6 = 58, Ipv6Level = 41, UnicastHops = 16, MulticastHops = 18, MulticastLoop = 19, PacketInfo = 50, Filter = 1;
    private static readonly IPAddress AllNodes = IPAddress.Parse("ff02::1");

    private int descriptor;

    private NeighbourSocket(int descriptor) => this.descriptor = descriptor;

    public static NeighbourSocket? TryOpen(out string? reason)
    {
        var descriptor = Libc.socket(Libc.AfInet6, Libc.SockRaw | Libc.SockCloseOnExec | Libc.SockNonBlocking, Icmpv6);
        reason = descriptor < 0 ? Libc.Describe(Libc.LastError) : null;
        if (descriptor < 0) return null;
        var (hops, off) = (255, 0); // Receivers refuse anything that could have passed a router (RFC 4861 §7.1.2).
        _ = Libc.setsockopt(descriptor, Ipv6Level, UnicastHops, &hops, sizeof(int));
        _ = Libc.setsockopt(descriptor, Ipv6Level, MulticastHops, &hops, sizeof(int));
        _ = Libc.setsockopt(descriptor, Ipv6Level, MulticastLoop, &off, sizeof(int));
        var blocked = stackalloc uint[8]; // icmp6_filter: a set bit blocks the type.
        new Span<uint>(blocked, 8).Fill(uint.MaxValue);
        blocked[NeighbourPacket.Advertisement >> 5] &= ~(1u << (NeighbourPacket.Advertisement & 31));
        _ = Libc.setsockopt(descriptor, Icmpv6, Filter, blocked, 32);
        return new NeighbourSocket(descriptor);
    }

    /// <summary>Unsolicited advertisement to all nodes, sent from the address itself.</summary>
    public void Announce(NetworkLink link, IPAddress address)
    {
        Span<byte> message = stackalloc byte[NeighbourPacket.Length];
        NeighbourPacket.WriteAdvertisement(message, link.HardwareAddress, address);
        Send(link, message, address, AllNodes);
    }

    /// <summary>Asks whether another machine has the address.</summary>
    public void Probe(NetworkLink link, IPAddress address)
    {
        Span<byte> message = stackalloc byte[NeighbourPacket.Length];
        NeighbourPacket.WriteSolicitation(message, link.HardwareAddress, address);
        Send(link, message, IPAddress.IPv6Any, NeighbourPacket.SolicitedNodeMulticast(address));
    }

    /// <summary>The next advertisement (ICMPv6 without the IP header) and its interface; -1 when there is none.</summary>
    public int Receive(Span<byte> message, out int link)
    {
        var from = stackalloc byte[28];
        var size = 28;
        link = 0;
        fixed (byte* bytes = message)
        {
            var count = Libc.recvfrom(descriptor, bytes, message.Length, Libc.DontWait, from, &size);
            if (count >= 0) link = *(int*)(from + 24); // sin6_scope_id; advertisements come from link-local or on-link addresses.
            return (int)count;
        }
    }

    private void Send(NetworkLink link, ReadOnlySpan<byte> message, IPAddress source, IPAddress destination)
    {
        var to = stackalloc byte[28];
        new Span<byte>(to, 28).Clear();
        *(ushort*)to = Libc.AfInet6;
        destination.TryWriteBytes(new Span<byte>(to + 8, 16), out _);
        *(int*)(to + 24) = link.Index;

        // cmsghdr (length 8, level 4, type 4) and in6_pktinfo (address 16, interface 4), padded to 8.
        var control = stackalloc byte[40];
        new Span<byte>(control, 40).Clear();
        *(nint*)control = 36;
        *(int*)(control + 8) = Ipv6Level;
        *(int*)(control + 12) = PacketInfo;
        source.TryWriteBytes(new Span<byte>(control + 16, 16), out _);
        *(int*)(control + 32) = link.Index;
        fixed (byte* bytes = message)
        {
            var part = new MessagePart { Base = bytes, Length = (nuint)message.Length };
            var header = new MessageHeader { Name = to, NameLength = 28, Parts = &part, PartCount = 1, Control = control, ControlLength = 40 };
            _ = Libc.sendmsg(descriptor, &header, Libc.DontWait);
        }
    }

    public void Dispose()
    {
        if (descriptor >= 0) _ = Libc.close(descriptor);
        descriptor = -1;
    }
}

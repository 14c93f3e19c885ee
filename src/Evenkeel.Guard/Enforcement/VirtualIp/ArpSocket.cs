using System.Buffers.Binary;
using System.Net;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>Sends and receives ARP frames on every interface of its network namespace (AF_PACKET). Never waits.</summary>
internal sealed unsafe class ArpSocket : IDisposable
{
    private int descriptor;

    private ArpSocket(int descriptor) => this.descriptor = descriptor;

    public static ArpSocket? TryOpen(out string? reason)
    {
        var protocol = BinaryPrimitives.ReverseEndianness(ArpPacket.EtherType);
        var descriptor = Libc.socket(Libc.AfPacket, Libc.SockRaw | Libc.SockCloseOnExec | Libc.SockNonBlocking, protocol);
        reason = descriptor < 0 ? Libc.Describe(Libc.LastError) : null;
        return descriptor < 0 ? null : new ArpSocket(descriptor);
    }

    /// <summary>Announces the address: the request form, then the reply form.</summary>
    public void Announce(NetworkLink link, IPAddress address)
    {
        Span<byte> frame = stackalloc byte[ArpPacket.Length];
        ArpPacket.WriteAnnouncement(frame, link.HardwareAddress, address);
        Send(link, frame);
        ArpPacket.WriteReplyAnnouncement(frame, link.HardwareAddress, address);
        Send(link, frame);
    }

    public void Probe(NetworkLink link, IPAddress address)
    {
        Span<byte> frame = stackalloc byte[ArpPacket.Length];
        ArpPacket.WriteProbe(frame, link.HardwareAddress, address);
        Send(link, frame);
    }

    /// <summary>The next frame that came in, with its interface; -1 when there is none.</summary>
    public int Receive(Span<byte> frame, out int link)
    {
        var from = stackalloc byte[20];
        var size = 20;
        link = 0;
        fixed (byte* bytes = frame)
        {
            var count = Libc.recvfrom(descriptor, bytes, frame.Length, Libc.DontWait, from, &size);
            if (count >= 0) link = *(int*)(from + 4);
            return (int)count;
        }
    }

    // A lost announcement is repeated by schedule; nothing to report here.
    private void Send(NetworkLink link, ReadOnlySpan<byte> frame)
    {
        // sockaddr_ll: family, protocol, ifindex, hatype, pkttype, halen, addr[8].
        var to = stackalloc byte[20];
        new Span<byte>(to, 20).Clear();
        *(ushort*)to = Libc.AfPacket;
        *(ushort*)(to + 2) = BinaryPrimitives.ReverseEndianness(ArpPacket.EtherType);
        *(int*)(to + 4) = link.Index;
        to[11] = 6;
        new Span<byte>(to + 12, 6).Fill(0xff);
        fixed (byte* bytes = frame) _ = Libc.sendto(descriptor, bytes, frame.Length, Libc.DontWait, to, 20);
    }

    public void Dispose()
    {
        if (descriptor >= 0) _ = Libc.close(descriptor);
        descriptor = -1;
    }
}

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// ARP over Ethernet for IPv4 (RFC 826), as whole frames of 42 bytes. An announcement (RFC 5227 §2.3) names the address as both
/// sender and target; hosts differ in whether the request or the reply form updates their cache, so both are sent.
/// </summary>
internal static class ArpPacket
{
    public const int Length = 42;
    public const ushort EtherType = 0x0806;
    private const ushort Request = 1, Reply = 2;
    private static ReadOnlySpan<byte> Broadcast => [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

    /// <summary>Announcement in the request form: opcode 1, target hardware address zero.</summary>
    public static void WriteAnnouncement(Span<byte> frame, ReadOnlySpan<byte> hardware, IPAddress address) =>
        Write(frame, Request, hardware, address, default, address);

    /// <summary>Announcement in the reply form: opcode 2, target hardware address our own.</summary>
    public static void WriteReplyAnnouncement(Span<byte> frame, ReadOnlySpan<byte> hardware, IPAddress address) =>
        Write(frame, Reply, hardware, address, hardware, address);

    /// <summary>Probe (RFC 5227 §2.1.1): sender address 0.0.0.0, so that nobody's cache changes.</summary>
    public static void WriteProbe(Span<byte> frame, ReadOnlySpan<byte> hardware, IPAddress address) =>
        Write(frame, Request, hardware, IPAddress.Any, default, address);

    /// <summary>Reads who claims which address; false for anything that is not Ethernet ARP for IPv4.</summary>
    public static bool TryRead(ReadOnlySpan<byte> frame, out ReadOnlySpan<byte> senderHardware, out ReadOnlySpan<byte> senderAddress)
    {
        senderHardware = senderAddress = default;
        if (frame.Length < Length || BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) != EtherType
            || !frame.Slice(14, 6).SequenceEqual((ReadOnlySpan<byte>)[0, 1, 8, 0, 6, 4])) return false;
        senderHardware = frame.Slice(22, 6);
        senderAddress = frame.Slice(28, 4);
        return true;
    }

    private static void Write(Span<byte> frame, ushort operation, ReadOnlySpan<byte> hardware, IPAddress sender,
        ReadOnlySpan<byte> targetHardware, IPAddress target)
    {
        if (target.AddressFamily != AddressFamily.InterNetwork) throw new ArgumentException("ARP is for IPv4", nameof(target));
        frame[..Length].Clear();
        Broadcast.CopyTo(frame);
        hardware.CopyTo(frame[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], EtherType);
        BinaryPrimitives.WriteUInt16BigEndian(frame[14..], 1);      // Ethernet
        BinaryPrimitives.WriteUInt16BigEndian(frame[16..], 0x0800); // IPv4
        frame[18] = 6;
        frame[19] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(frame[20..], operation);
        hardware.CopyTo(frame[22..]);
        sender.TryWriteBytes(frame[28..], out _);
        targetHardware.CopyTo(frame[32..]);
        target.TryWriteBytes(frame[38..], out _);
    }
}

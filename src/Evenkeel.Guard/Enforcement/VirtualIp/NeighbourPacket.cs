using System.Buffers.Binary;
using System.Net;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// Neighbour discovery messages (RFC 4861 §4.3, §4.4) as ICMPv6 payloads, checksum left zero: the kernel fills it in on a raw
/// ICMPv6 socket. Going through that socket (not AF_PACKET) keeps them behind the kernel's own lease.
/// </summary>
internal static class NeighbourPacket
{
    public const byte Solicitation = 135, Advertisement = 136;
    public const int Length = 32;
    private const uint OverrideFlag = 0x2000_0000;

    /// <summary>Unsolicited advertisement (§7.2.6): override set, solicited clear, target link-layer option.</summary>
    public static void WriteAdvertisement(Span<byte> message, ReadOnlySpan<byte> hardware, IPAddress address)
    {
        Write(message, Advertisement, address, option: 2, hardware);
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], OverrideFlag);
    }

    /// <summary>Solicitation for the address with our link-layer address: does another machine answer for it?</summary>
    public static void WriteSolicitation(Span<byte> message, ReadOnlySpan<byte> hardware, IPAddress address) =>
        Write(message, Solicitation, address, option: 1, hardware);

    /// <summary>Reads an advertisement's target and link-layer address; false for anything else, or without that option.</summary>
    public static bool TryReadAdvertisement(ReadOnlySpan<byte> message, out ReadOnlySpan<byte> target, out ReadOnlySpan<byte> hardware)
    {
        target = hardware = default;
        if (message.Length < 24 || message[0] != Advertisement) return false;
        target = message.Slice(8, 16);
        for (var options = message[24..]; options.Length >= 8 && options[1] > 0 && options[1] * 8 <= options.Length; options = options[(options[1] * 8)..])
            if (options[0] == 2) hardware = options.Slice(2, 6);
        return hardware.Length == 6;
    }

    /// <summary>ff02::1:ffXX:XXXX with the address's last three bytes (RFC 4291 §2.7.1).</summary>
    public static IPAddress SolicitedNodeMulticast(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        ReadOnlySpan<byte> prefix = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
        prefix.CopyTo(bytes);
        return new IPAddress(bytes);
    }

    private static void Write(Span<byte> message, byte type, IPAddress target, byte option, ReadOnlySpan<byte> hardware)
    {
        message[..Length].Clear();
        message[0] = type;
        target.TryWriteBytes(message[8..], out _);
        message[24] = option;
        message[25] = 1; // in units of 8 bytes
        hardware.CopyTo(message[26..]);
    }
}

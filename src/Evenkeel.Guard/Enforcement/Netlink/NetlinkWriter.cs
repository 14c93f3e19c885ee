using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Evenkeel.Guard.Enforcement.Netlink;

/// <summary>
/// Lays netlink messages (RFC 3549; linux/netlink.h) one after another into one buffer that is used again: a header of 16 bytes
/// in host order, then a family header, then attributes of 4 + n bytes, everything padded to 4. Allocates nothing once made.
/// </summary>
internal sealed class NetlinkWriter(int capacity = 16384)
{
    public const ushort Request = 1, Ack = 4, Dump = 0x300, Replace = 0x100, Exclusive = 0x200, Create = 0x400, Append = 0x800;
    private const ushort Nested = 0x8000;

    private readonly byte[] buffer = new byte[capacity];
    private int length;
    private int messageStart;

    public uint Sequence { get; private set; }
    public ReadOnlySpan<byte> Written => buffer.AsSpan(0, length);

    public NetlinkWriter Clear()
    {
        length = 0;
        return this;
    }

    public NetlinkWriter Begin(ushort type, ushort flags)
    {
        messageStart = length;
        Sequence++;
        var header = Take(16);
        MemoryMarshal.Write(header[4..], type);
        MemoryMarshal.Write(header[6..], flags);
        MemoryMarshal.Write(header[8..], Sequence);
        return this;
    }

    public NetlinkWriter End()
    {
        MemoryMarshal.Write(buffer.AsSpan(messageStart), length - messageStart);
        return this;
    }

    /// <summary>Bytes of the family header (ifaddrmsg, nfgenmsg …), padded.</summary>
    public NetlinkWriter Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Take(bytes.Length));
        return this;
    }

    public NetlinkWriter Attribute(ushort type, ReadOnlySpan<byte> value)
    {
        var space = Take(4 + value.Length);
        MemoryMarshal.Write(space, (ushort)(4 + value.Length));
        MemoryMarshal.Write(space[2..], type);
        value.CopyTo(space[4..]);
        return this;
    }

    public NetlinkWriter Byte(ushort type, byte value) => Attribute(type, [value]);

    /// <summary>A 32-bit number in host order: route netlink.</summary>
    public NetlinkWriter Host32(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        MemoryMarshal.Write(bytes, value);
        return Attribute(type, bytes);
    }

    /// <summary>A 32-bit number in network order: nf_tables.</summary>
    public NetlinkWriter Net32(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return Attribute(type, bytes);
    }

    public NetlinkWriter Net64(ushort type, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return Attribute(type, bytes);
    }

    /// <summary>A string with its closing zero.</summary>
    public NetlinkWriter Text(ushort type, string value)
    {
        Span<byte> bytes = stackalloc byte[256];
        var count = Encoding.UTF8.GetBytes(value, bytes[..255]);
        bytes[count] = 0;
        return Attribute(type, bytes[..(count + 1)]);
    }

    /// <summary>Opens an attribute that holds attributes; close it with <see cref="Close"/>.</summary>
    public int Open(ushort type)
    {
        var at = length;
        MemoryMarshal.Write(Take(4)[2..], (ushort)(type | Nested));
        return at;
    }

    public NetlinkWriter Close(int opened)
    {
        MemoryMarshal.Write(buffer.AsSpan(opened), (ushort)(length - opened));
        return this;
    }

    private Span<byte> Take(int count)
    {
        var padded = (count + 3) & ~3;
        var space = buffer.AsSpan(length, padded);
        space.Clear();
        length += padded;
        return space[..count];
    }
}

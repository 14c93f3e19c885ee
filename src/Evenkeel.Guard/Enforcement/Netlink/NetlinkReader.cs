using System.Runtime.InteropServices;

namespace Evenkeel.Guard.Enforcement.Netlink;

/// <summary>Walks the messages of one received datagram, or the attributes of one message. Damaged lengths end the walk.</summary>
internal ref struct NetlinkReader(ReadOnlySpan<byte> rest)
{
    private ReadOnlySpan<byte> rest = rest;

    /// <summary>The next message: its type, and what follows its 16-byte header.</summary>
    public bool NextMessage(out ushort type, out ushort flags, out ReadOnlySpan<byte> body)
    {
        type = flags = 0;
        body = default;
        if (rest.Length < 16) return false;
        var length = MemoryMarshal.Read<int>(rest);
        if (length < 16 || length > rest.Length) return false;
        type = MemoryMarshal.Read<ushort>(rest[4..]);
        flags = MemoryMarshal.Read<ushort>(rest[6..]);
        body = rest[16..length];
        rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
        return true;
    }

    public bool NextAttribute(out ushort type, out ReadOnlySpan<byte> value)
    {
        type = 0;
        value = default;
        if (rest.Length < 4) return false;
        var length = MemoryMarshal.Read<ushort>(rest);
        if (length < 4 || length > rest.Length) return false;
        type = (ushort)(MemoryMarshal.Read<ushort>(rest[2..]) & 0x3fff);
        value = rest[4..length];
        rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
        return true;
    }

    public static string Text(ReadOnlySpan<byte> value)
    {
        var end = value.IndexOf((byte)0);
        return System.Text.Encoding.UTF8.GetString(end < 0 ? value : value[..end]);
    }
}

using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Evenkeel.Backup.Backends;

/// <summary>Packet types of SFTP 3.</summary>
internal enum SftpType : byte
{
    Init = 1,
    Version = 2,
    Open = 3,
    Close = 4,
    Read = 5,
    Write = 6,
    OpenDirectory = 11,
    ReadDirectory = 12,
    Remove = 13,
    MakeDirectory = 14,
    Stat = 17,
    Rename = 18,
    Status = 101,
    Handle = 102,
    Data = 103,
    Name = 104,
    Attributes = 105,
    Extended = 200,
}

/// <summary>An answer as it came, without its length.</summary>
internal sealed class SftpPacket(byte[] body)
{
    public SftpType Type => (SftpType)body[0];

    public uint Id => body.Length < 5 ? uint.MaxValue : BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(1));

    /// <summary>Reads what follows the request's number; in the greeting, what follows the type.</summary>
    public SftpReader Reader() => new(body, Type == SftpType.Version ? 1 : 5);
}

/// <summary>Reads a packet's fields; a packet that ends early is <see cref="RepositoryError.Unavailable"/>.</summary>
internal sealed class SftpReader(byte[] body, int at)
{
    private const uint HasSize = 1, HasOwner = 2, HasMode = 4, HasTimes = 8, HasMore = 0x80000000;
    private int _at = at;

    public bool AtEnd => _at >= body.Length;

    public uint UInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64BigEndian(Take(8));

    public byte[] Bytes() => Take(UInt32()).ToArray();

    public SftpAttributes Attributes()
    {
        var flags = UInt32();
        var size = (flags & HasSize) != 0 ? (long)UInt64() : 0;
        Take((flags & HasOwner) != 0 ? 8u : 0);
        var mode = (flags & HasMode) != 0 ? UInt32() : 0;
        Take((flags & HasTimes) != 0 ? 8u : 0);
        for (var more = (flags & HasMore) != 0 ? UInt32() : 0; more > 0; more--)
        {
            Bytes();
            Bytes();
        }
        return new SftpAttributes(size, (mode & 0xf000) == 0x4000);
    }

    private ReadOnlySpan<byte> Take(uint count)
    {
        if (count > body.Length - _at)
        {
            throw new RepositoryException(RepositoryError.Unavailable, "the SFTP server sent a packet that ends early");
        }
        _at += (int)count;
        return body.AsSpan(_at - (int)count, (int)count);
    }
}

/// <summary>Builds a packet, its length included.</summary>
internal sealed class SftpWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public SftpWriter(SftpType type)
    {
        Add(0u);
        _bytes.Write([(byte)type]);
    }

    public SftpWriter Add(uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(_bytes.GetSpan(4), value);
        _bytes.Advance(4);
        return this;
    }

    public SftpWriter Add(ulong value) => Add((uint)(value >> 32)).Add((uint)value);

    public SftpWriter Add(ReadOnlySpan<byte> bytes)
    {
        Add((uint)bytes.Length);
        _bytes.Write(bytes);
        return this;
    }

    public SftpWriter Add(string text) => Add(Encoding.UTF8.GetBytes(text));

    public byte[] ToArray()
    {
        var packet = _bytes.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length - 4);
        return packet;
    }
}

/// <summary>Status answers.</summary>
internal static class SftpStatus
{
    private const uint Ok = 0, EndOfFile = 1, NoSuchFile = 2, PermissionDenied = 3;

    /// <summary>The packet when it says that all went well or that a file or listing ended; else an exception with the server's words.</summary>
    public static SftpPacket Check(SftpPacket packet, string what)
    {
        var reader = packet.Reader();
        var code = reader.UInt32();
        var words = reader.AtEnd ? "" : Encoding.UTF8.GetString(reader.Bytes());
        return code is Ok or EndOfFile ? packet : throw new RepositoryException(
            code switch
            {
                NoSuchFile => RepositoryError.NotFound,
                PermissionDenied => RepositoryError.Refused,
                // SFTP 3 has no code for a full disk; what fails without a reason may be that, and is not tried again.
                _ => words.Contains("space", StringComparison.OrdinalIgnoreCase) ? RepositoryError.Full : RepositoryError.Unavailable,
            },
            $"{what}: {(words.Length > 0 ? words : $"SFTP status {code}")}");
    }

    /// <summary>Whether a status answer says that there is no more.</summary>
    public static bool IsEnd(SftpPacket packet) => packet.Type == SftpType.Status && packet.Reader().UInt32() == EndOfFile;
}

using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Evenkeel.Backup.Repository;

/// <summary>The SHA-256 by which a repository names everything: files by their stored bytes, blobs by their plain content.</summary>
public readonly record struct ObjectId : IComparable<ObjectId>
{
    /// <summary>Bytes in an id.</summary>
    public const int Size = 32;

    private readonly ulong _a, _b, _c, _d;

    /// <summary>Reads 32 bytes.</summary>
    public ObjectId(ReadOnlySpan<byte> bytes)
    {
        _a = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        _b = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        _c = BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]);
        _d = BinaryPrimitives.ReadUInt64BigEndian(bytes[24..]);
    }

    /// <summary>True for the default value, which is nobody's id.</summary>
    public bool IsZero => (_a | _b | _c | _d) == 0;

    /// <summary>The id of some content.</summary>
    public static ObjectId Hash(ReadOnlySpan<byte> content)
    {
        Span<byte> hash = stackalloc byte[Size];
        SHA256.HashData(content, hash);
        return new ObjectId(hash);
    }

    /// <summary>Reads 64 lowercase hexadecimal digits; false for anything else.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ObjectId id)
    {
        Span<byte> bytes = stackalloc byte[Size];
        var valid = text.Length == 2 * Size && !text.ContainsAnyInRange('A', 'F')
            && Convert.FromHexString(text, bytes, out _, out var written) == System.Buffers.OperationStatus.Done && written == Size;
        id = valid ? new ObjectId(bytes) : default;
        return valid;
    }

    /// <summary>Reads 64 hexadecimal digits in UTF-8, as JSON carries them.</summary>
    public static bool TryParse(ReadOnlySpan<byte> utf8, out ObjectId id)
    {
        Span<byte> bytes = stackalloc byte[Size];
        var valid = utf8.Length == 2 * Size
            && Convert.FromHexString(utf8, bytes, out _, out var written) == System.Buffers.OperationStatus.Done && written == Size;
        id = valid ? new ObjectId(bytes) : default;
        return valid;
    }

    /// <summary>Writes the 32 bytes.</summary>
    public void CopyTo(Span<byte> output)
    {
        BinaryPrimitives.WriteUInt64BigEndian(output, _a);
        BinaryPrimitives.WriteUInt64BigEndian(output[8..], _b);
        BinaryPrimitives.WriteUInt64BigEndian(output[16..], _c);
        BinaryPrimitives.WriteUInt64BigEndian(output[24..], _d);
    }

    /// <summary>The bytes' order, which is also the order of the hexadecimal forms.</summary>
    public int CompareTo(ObjectId other)
    {
        var order = _a.CompareTo(other._a);
        order = order != 0 ? order : _b.CompareTo(other._b);
        order = order != 0 ? order : _c.CompareTo(other._c);
        return order != 0 ? order : _d.CompareTo(other._d);
    }

    /// <summary>A hash is random already: any part of it is as good as the whole.</summary>
    public override int GetHashCode() => (int)_d;

    /// <summary>64 lowercase hexadecimal digits.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Size];
        CopyTo(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    /// <summary>Writes the 64 digits in ASCII.</summary>
    public void Format(Span<byte> output)
    {
        Span<byte> bytes = stackalloc byte[Size];
        CopyTo(bytes);
        _ = Convert.TryToHexStringLower(bytes, output, out _);
    }

    /// <summary>The first eight digits, as people use them.</summary>
    public string Brief => ToString()[..8];
}

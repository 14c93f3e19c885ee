using System.Buffers.Binary;
using Evenkeel.Backup.Crypto;

namespace Evenkeel.Backup.Repository;

/// <summary>What a blob is: part of a file's content, or a directory.</summary>
public enum BlobKind : byte
{
    /// <summary>Content of files.</summary>
    Data,

    /// <summary>A directory's nodes as JSON.</summary>
    Tree,
}

/// <summary>One blob within a pack.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Id">SHA-256 of the plain content.</param>
/// <param name="Offset">Where its envelope begins, bytes.</param>
/// <param name="Length">Length of the envelope, bytes.</param>
/// <param name="UncompressedLength">Length of the plain content where the blob is compressed, else 0.</param>
public readonly record struct PackedBlob(BlobKind Kind, ObjectId Id, uint Offset, uint Length, uint UncompressedLength)
{
    /// <summary>Length of the plain content, bytes.</summary>
    public int ContentLength => UncompressedLength != 0 ? (int)UncompressedLength : (int)Length - MasterKey.Overhead;
}

/// <summary>
/// The table at a pack's end: <c>sealed entries ‖ u32 little-endian length of that</c>. An entry is a type byte, the envelope's
/// length, the plain length when compressed (types 2 and 3), and the id.
/// </summary>
internal static class PackHeader
{
    /// <summary>restic reads no longer header.</summary>
    public const int MaximumSize = 16 << 20;
    private const int PlainEntry = 1 + 4 + ObjectId.Size;
    private const int CompressedEntry = PlainEntry + 4;

    /// <summary>The most bytes that the header of so many blobs has, with its length.</summary>
    public static int Size(int blobs) => (blobs * CompressedEntry) + MasterKey.Overhead + 4;

    public static int EntrySize(bool compressed) => compressed ? CompressedEntry : PlainEntry;

    public static byte[] Encode(IReadOnlyList<PackedBlob> blobs, MasterKey key)
    {
        var plain = new byte[blobs.Sum(blob => EntrySize(blob.UncompressedLength != 0))];
        var rest = plain.AsSpan();
        foreach (var blob in blobs)
        {
            var compressed = blob.UncompressedLength != 0;
            rest[0] = (byte)((byte)blob.Kind + (compressed ? 2 : 0));
            BinaryPrimitives.WriteUInt32LittleEndian(rest[1..], blob.Length);
            if (compressed)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(rest[5..], blob.UncompressedLength);
            }
            blob.Id.CopyTo(rest[(compressed ? 9 : 5)..]);
            rest = rest[EntrySize(compressed)..];
        }
        var header = new byte[plain.Length + MasterKey.Overhead + 4];
        key.Seal(plain, header);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(header.Length - 4), header.Length - 4);
        return header;
    }

    /// <summary>Reads the header of a whole pack; fails with <see cref="RepositoryError.Damaged"/> unless the entries fill the pack exactly.</summary>
    public static List<PackedBlob> Decode(ReadOnlySpan<byte> pack, MasterKey key)
    {
        var sealedLength = pack.Length < 4 ? -1 : BinaryPrimitives.ReadInt32LittleEndian(pack[^4..]);
        if (sealedLength < MasterKey.Overhead || sealedLength > MaximumSize || sealedLength > pack.Length - 4)
        {
            throw Damaged("its header's length is impossible");
        }
        var blobsEnd = pack.Length - 4 - sealedLength;
        var plain = key.TryOpen(pack.Slice(blobsEnd, sealedLength)) ?? throw Damaged("its header does not authenticate");
        var blobs = new List<PackedBlob>();
        var rest = plain.AsSpan();
        long offset = 0;
        while (!rest.IsEmpty)
        {
            var type = rest[0];
            var compressed = type is 2 or 3;
            if (type > 3 || rest.Length < EntrySize(compressed))
            {
                throw Damaged($"its header has an entry of unknown type {type}");
            }
            var length = BinaryPrimitives.ReadUInt32LittleEndian(rest[1..]);
            var uncompressed = compressed ? BinaryPrimitives.ReadUInt32LittleEndian(rest[5..]) : 0;
            blobs.Add(new PackedBlob((BlobKind)(type & 1), new ObjectId(rest[(compressed ? 9 : 5)..]), (uint)offset, length, uncompressed));
            offset += length;
            rest = rest[EntrySize(compressed)..];
        }
        return offset == blobsEnd ? blobs : throw Damaged("its header does not cover it");
    }

    private static RepositoryException Damaged(string how) => new(RepositoryError.Damaged, $"pack damaged: {how}");
}

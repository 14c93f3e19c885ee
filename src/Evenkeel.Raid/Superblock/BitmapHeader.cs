using System.Buffers.Binary;

namespace Evenkeel.Raid.Superblock;

/// <summary>
/// The 256 bytes before the bits of a write-intent bitmap (<c>struct bitmap_super_s</c> in Linux <c>md-bitmap.h</c>), version 4.
/// Bit i, the least significant first, stands for the i-th chunk of <see cref="SyncSectors"/>.
/// </summary>
/// <param name="ArrayId">Must equal the superblock's.</param>
/// <param name="Events">At least the superblock's when the bitmap is up to date.</param>
/// <param name="EventsCleared">A member with at least these events can be re-added by the bitmap alone.</param>
/// <param name="SyncSectors">Sectors that the bits stand for.</param>
/// <param name="State">1 = stale, 2 = a write of the bitmap failed.</param>
/// <param name="ChunkBytes">Bytes that one bit stands for, a power of two.</param>
/// <param name="DaemonSleepSeconds">How long a bit stays set after the last write.</param>
/// <param name="ReservedSectors">Room on disk for header and bits.</param>
public sealed record BitmapHeader(
    Guid ArrayId, ulong Events, ulong EventsCleared, ulong SyncSectors, uint State, uint ChunkBytes, uint DaemonSleepSeconds, uint ReservedSectors)
{
    /// <summary>Bytes before the first bit.</summary>
    public const int Bytes = 256;

    private const uint Magic = 0x6d746962;

    /// <summary>Number of bits.</summary>
    public long Bits => ((long)SyncSectors + ChunkBytes / 512 - 1) / (ChunkBytes / 512);

    /// <summary>Reads a header.</summary>
    /// <exception cref="MdFormatException">It is damaged or of a version that is not understood (5 clustered, 6 lockless).</exception>
    public static BitmapHeader Read(ReadOnlySpan<byte> bytes)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic) throw new MdFormatException("No bitmap where the superblock says one is.");
        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        if (version is not (3 or 4)) throw new MdFormatException($"Bitmap version {version} is not supported; 4 is.");
        var header = new BitmapHeader(
            new Guid(bytes.Slice(8, 16), bigEndian: true),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[48..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[52..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[56..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[64..]));
        if (header.ChunkBytes < 512 || !uint.IsPow2(header.ChunkBytes) || header.SyncSectors > long.MaxValue / 1024 || header.Bits > 1 << 27)
            throw new MdFormatException("The bitmap's sizes cannot be.");
        return header;
    }

    /// <summary>Writes the header into the first 256 bytes of a buffer.</summary>
    public void Write(Span<byte> bytes)
    {
        bytes[..Bytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], 4);
        ArrayId.TryWriteBytes(bytes[8..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[24..], Events);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[32..], EventsCleared);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[40..], SyncSectors);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[48..], State);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[52..], ChunkBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[56..], DaemonSleepSeconds);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[64..], ReservedSectors);
    }
}

using System.Collections.Immutable;
using System.Text;
using Evenkeel.Raid.Geometry;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Evenkeel.Raid.Superblock;

/// <summary>Bytes of metadata 1.2 to <see cref="MdSuperblock"/> and back. See <c>docs/formats/md.md</c>.</summary>
public static class MdSuperblockCodec
{
    /// <summary>Where the superblock lies on a member, in bytes.</summary>
    public const int ByteOffset = 4096;

    /// <summary>Room that is read for it: the fixed 256 bytes and up to 1920 roles.</summary>
    public const int MaximumBytes = 4096;

    private const uint Magic = 0xa92b4efc;
    private const int FixedBytes = 256;

    /// <summary>Whether there is an md superblock at all, right or wrong.</summary>
    public static bool IsPresent(ReadOnlySpan<byte> bytes) => bytes.Length >= FixedBytes && ReadUInt32LittleEndian(bytes) == Magic;

    /// <summary>Reads a superblock.</summary>
    /// <param name="bytes">At least 4096 bytes from <see cref="ByteOffset"/> on.</param>
    /// <exception cref="MdFormatException">There is none, its checksum is wrong, or it asks for something unknown.</exception>
    public static MdSuperblock Read(ReadOnlySpan<byte> bytes)
    {
        if (!IsPresent(bytes)) throw new MdFormatException("No md superblock (metadata 1.2) here.");
        var major = ReadUInt32LittleEndian(bytes[4..]);
        var roles = ReadUInt32LittleEndian(bytes[220..]);
        if (major != 1) throw new MdFormatException($"Metadata {major}.x is not supported; 1.2 is.");
        if (roles > (MaximumBytes - FixedBytes) / 2 || FixedBytes + roles * 2 > bytes.Length) throw new MdFormatException($"A table of {roles} devices is too long.");
        var length = FixedBytes + (int)roles * 2;
        if (ReadUInt32LittleEndian(bytes[216..]) != Checksum(bytes[..length])) throw new MdFormatException("The superblock's checksum is wrong.");

        var superOffset = ReadUInt64LittleEndian(bytes[144..]);
        if (superOffset != ByteOffset / ArrayGeometry.SectorBytes) throw new MdFormatException($"Superblock made for sector {superOffset}: not metadata 1.2.");
        var features = (MdFeatures)ReadUInt32LittleEndian(bytes[8..]);
        Refuse(features);
        var logged = (features & MdFeatures.AnyPartialParityLog) != 0;
        var slots = ReadUInt32LittleEndian(bytes[92..]);
        if (slots is 0 or > 384) throw new MdFormatException($"{slots} members cannot be.");

        var superblock = new MdSuperblock
        {
            Features = features,
            ArrayId = new Guid(bytes.Slice(16, 16), bigEndian: true),
            Name = Encoding.UTF8.GetString(bytes.Slice(32, 32)).TrimEnd('\0'),
            Created = ReadTime(bytes[64..]),
            Level = (RaidLevel)ReadInt32LittleEndian(bytes[72..]),
            Layout = ReadUInt32LittleEndian(bytes[76..]),
            Size = ReadUInt64LittleEndian(bytes[80..]),
            ChunkSectors = ReadUInt32LittleEndian(bytes[88..]),
            Slots = (int)slots,
            // One field, two meanings: an array has a bitmap or a partial parity log.
            BitmapOffset = logged ? 0 : ReadInt32LittleEndian(bytes[96..]),
            PartialParityOffset = logged ? ReadInt16LittleEndian(bytes[96..]) : (short)0,
            PartialParitySectors = logged ? ReadUInt16LittleEndian(bytes[98..]) : (ushort)0,
            DataOffset = ReadUInt64LittleEndian(bytes[128..]),
            DataSize = ReadUInt64LittleEndian(bytes[136..]),
            RecoveryOffset = ReadUInt64LittleEndian(bytes[152..]),
            DeviceNumber = ReadUInt32LittleEndian(bytes[160..]),
            CorrectedReads = ReadUInt32LittleEndian(bytes[164..]),
            DeviceId = new Guid(bytes.Slice(168, 16), bigEndian: true),
            DeviceFlags = bytes[184],
            BadBlockShift = bytes[185],
            BadBlockSectors = ReadUInt16LittleEndian(bytes[186..]),
            BadBlockOffset = ReadInt32LittleEndian(bytes[188..]),
            Updated = ReadTime(bytes[192..]),
            Events = ReadUInt64LittleEndian(bytes[200..]),
            ResyncOffset = ReadUInt64LittleEndian(bytes[208..]),
            Reserved = [.. bytes.Slice(224, 32)],
            Roles = ReadRoles(bytes[FixedBytes..length]),
        };
        MdSuperblockRules.Check(superblock);
        return superblock;
    }

    /// <summary>The bytes to write at <see cref="ByteOffset"/>: whole sectors, so that an update of up to 128 roles cannot be torn.</summary>
    public static byte[] Write(MdSuperblock superblock)
    {
        var length = FixedBytes + superblock.Roles.Length * 2;
        var bytes = new byte[(length + 511) / 512 * 512];
        var span = bytes.AsSpan();
        WriteUInt32LittleEndian(span, Magic);
        WriteUInt32LittleEndian(span[4..], 1);
        WriteUInt32LittleEndian(span[8..], (uint)superblock.Features);
        superblock.ArrayId.TryWriteBytes(span[16..], bigEndian: true, out _);
        Encoding.UTF8.GetBytes(superblock.Name, span.Slice(32, 32));
        WriteTime(span[64..], superblock.Created);
        WriteInt32LittleEndian(span[72..], (int)superblock.Level);
        WriteUInt32LittleEndian(span[76..], superblock.Layout);
        WriteUInt64LittleEndian(span[80..], superblock.Size);
        WriteUInt32LittleEndian(span[88..], superblock.ChunkSectors);
        WriteUInt32LittleEndian(span[92..], (uint)superblock.Slots);
        if (superblock.HasLog)
        {
            WriteInt16LittleEndian(span[96..], superblock.PartialParityOffset);
            WriteUInt16LittleEndian(span[98..], superblock.PartialParitySectors);
        }
        else
        {
            WriteInt32LittleEndian(span[96..], superblock.BitmapOffset);
        }

        WriteUInt64LittleEndian(span[128..], superblock.DataOffset);
        WriteUInt64LittleEndian(span[136..], superblock.DataSize);
        WriteUInt64LittleEndian(span[144..], ByteOffset / ArrayGeometry.SectorBytes);
        WriteUInt64LittleEndian(span[152..], superblock.RecoveryOffset);
        WriteUInt32LittleEndian(span[160..], superblock.DeviceNumber);
        WriteUInt32LittleEndian(span[164..], superblock.CorrectedReads);
        superblock.DeviceId.TryWriteBytes(span[168..], bigEndian: true, out _);
        span[184] = superblock.DeviceFlags;
        span[185] = superblock.BadBlockShift;
        WriteUInt16LittleEndian(span[186..], superblock.BadBlockSectors);
        WriteInt32LittleEndian(span[188..], superblock.BadBlockOffset);
        WriteTime(span[192..], superblock.Updated);
        WriteUInt64LittleEndian(span[200..], superblock.Events);
        WriteUInt64LittleEndian(span[208..], superblock.ResyncOffset);
        WriteUInt32LittleEndian(span[220..], (uint)superblock.Roles.Length);
        superblock.Reserved.CopyTo(bytes, 224);
        for (var i = 0; i < superblock.Roles.Length; i++) WriteUInt16LittleEndian(span[(FixedBytes + i * 2)..], superblock.Roles[i]);
        WriteUInt32LittleEndian(span[216..], Checksum(span[..length]));
        return bytes;
    }

    // The sum of all little-endian words with the field itself as zero; carries are added back (a last half word counts as one).
    private static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        ulong sum = 0;
        var at = 0;
        for (; at + 4 <= bytes.Length; at += 4)
            if (at != 216) sum += ReadUInt32LittleEndian(bytes[at..]);
        if (at + 2 <= bytes.Length) sum += ReadUInt16LittleEndian(bytes[at..]);
        return (uint)sum + (uint)(sum >> 32);
    }

    private static void Refuse(MdFeatures features)
    {
        var unknown = features & ~MdFeatures.Supported;
        if (unknown != MdFeatures.None)
            throw new MdFormatException($"The array uses what is not supported here: {unknown}. Touching it could destroy data.");
    }

    private static ImmutableArray<ushort> ReadRoles(ReadOnlySpan<byte> bytes)
    {
        var roles = ImmutableArray.CreateBuilder<ushort>(bytes.Length / 2);
        for (var at = 0; at < bytes.Length; at += 2) roles.Add(ReadUInt16LittleEndian(bytes[at..]));
        return roles.MoveToImmutable();
    }

    // Forty bits of seconds since 1970, twenty-four of microseconds.
    private static DateTimeOffset ReadTime(ReadOnlySpan<byte> bytes)
    {
        var raw = ReadUInt64LittleEndian(bytes);
        var seconds = (long)(raw & 0xff_ffff_ffff);
        return seconds > 253402300799 ? default : DateTimeOffset.FromUnixTimeSeconds(seconds).AddMicroseconds(Math.Min(raw >> 40, 999_999));
    }

    private static void WriteTime(Span<byte> bytes, DateTimeOffset time)
    {
        var microseconds = Math.Max(0, (time - DateTimeOffset.UnixEpoch).Ticks / 10);
        WriteUInt64LittleEndian(bytes, ((ulong)(microseconds / 1_000_000) & 0xff_ffff_ffff) | ((ulong)(microseconds % 1_000_000) << 40));
    }
}

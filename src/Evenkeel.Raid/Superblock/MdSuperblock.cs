using System.Collections.Immutable;
using Evenkeel.Raid.Geometry;

namespace Evenkeel.Raid.Superblock;

/// <summary>
/// The superblock of Linux md, metadata 1.2 (<c>struct mdp_superblock_1</c> in <c>md_p.h</c>), 4 KiB from a member's start.
/// Sizes and offsets are in 512-byte sectors. The first group is one for the whole array, the second is this member's own.
/// </summary>
public sealed record MdSuperblock
{
    /// <summary><c>resync_offset</c> of a clean array.</summary>
    public const ulong Clean = ulong.MaxValue;

    /// <summary>Role of a spare.</summary>
    public const ushort SpareRole = 0xffff;

    /// <summary>Role of a member that failed, or is gone.</summary>
    public const ushort FaultyRole = 0xfffe;

    /// <summary>Features of the array and of this member.</summary>
    public MdFeatures Features { get; init; }

    /// <summary>The array's identity, 16 bytes as on disk.</summary>
    public required Guid ArrayId { get; init; }

    /// <summary>Up to 32 bytes of UTF-8, by custom <c>host:name</c>.</summary>
    public required string Name { get; init; }

    /// <summary>When the array was created.</summary>
    public DateTimeOffset Created { get; init; }

    /// <summary>When any member was last written.</summary>
    public DateTimeOffset Updated { get; init; }

    /// <summary>The level.</summary>
    public required RaidLevel Level { get; init; }

    /// <summary>md's layout number: 2 = left-symmetric, 0x102 = near-2, 0 elsewhere.</summary>
    public uint Layout { get; init; }

    /// <summary>Sectors used of each member; 0 for RAID 0, where each member's own size counts.</summary>
    public ulong Size { get; init; }

    /// <summary>Sectors in a chunk.</summary>
    public uint ChunkSectors { get; init; }

    /// <summary>Slots in the array.</summary>
    public required int Slots { get; init; }

    /// <summary>Where the bitmap starts, relative to the superblock.</summary>
    public int BitmapOffset { get; init; }

    /// <summary>Whether there is a partial parity log.</summary>
    public bool HasLog => (Features & MdFeatures.AnyPartialParityLog) != 0;

    /// <summary>With a partial parity log: where this member's log starts, relative to the superblock.</summary>
    public short PartialParityOffset { get; init; }

    /// <summary>Sectors of that log, its header included.</summary>
    public ushort PartialParitySectors { get; init; }

    /// <summary>Grows with each update of the metadata; the member with the most events is right.</summary>
    public ulong Events { get; init; }

    /// <summary>Sectors from here on may be out of sync; <see cref="Clean"/> if none.</summary>
    public ulong ResyncOffset { get; init; } = Clean;

    /// <summary>By device number: the slot it fills, <see cref="SpareRole"/> or <see cref="FaultyRole"/>.</summary>
    public required ImmutableArray<ushort> Roles { get; init; }

    /// <summary>Where this member's data start.</summary>
    public required ulong DataOffset { get; init; }

    /// <summary>Sectors that this member could hold from there.</summary>
    public required ulong DataSize { get; init; }

    /// <summary>Valid up to here, with <see cref="MdFeatures.RecoveryOffset"/>.</summary>
    public ulong RecoveryOffset { get; init; }

    /// <summary>This member's index into <see cref="Roles"/>; never reused for another device while the array lives.</summary>
    public required uint DeviceNumber { get; init; }

    /// <summary>Read errors that were corrected.</summary>
    public uint CorrectedReads { get; init; }

    /// <summary>The member's identity, 16 bytes as on disk.</summary>
    public required Guid DeviceId { get; init; }

    /// <summary>1 = write-mostly, 2 = fail fast.</summary>
    public byte DeviceFlags { get; init; }

    /// <summary>Bad-block entries count blocks of 512 &lt;&lt; this bytes.</summary>
    public byte BadBlockShift { get; init; }

    /// <summary>Sectors of the bad-block log.</summary>
    public ushort BadBlockSectors { get; init; }

    /// <summary>Where that log starts, relative to the superblock; 0 if there is none.</summary>
    public int BadBlockOffset { get; init; }

    /// <summary>Bytes 224 to 255, kept as they were: newer kernels write a logical block size there.</summary>
    public ImmutableArray<byte> Reserved { get; init; } = [.. new byte[32]];

    /// <summary>What this member is according to its own table.</summary>
    public ushort Role => DeviceNumber < Roles.Length ? Roles[(int)DeviceNumber] : SpareRole;
}

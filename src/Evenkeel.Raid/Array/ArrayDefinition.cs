using Evenkeel.Raid.Geometry;

namespace Evenkeel.Raid.Array;

/// <summary>What a new array shall be.</summary>
public sealed record ArrayDefinition
{
    /// <summary>The level.</summary>
    public required RaidLevel Level { get; init; }

    /// <summary>Up to 32 bytes; mdadm shows it as <c>host:name</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Slots; devices beyond them become spares.</summary>
    public required int Slots { get; init; }

    /// <summary>Bytes in a chunk, a power of two from 4 KiB.</summary>
    public int ChunkBytes { get; init; } = 512 * 1024;

    /// <summary>Bytes used of each member; null = as much as the smallest allows.</summary>
    public long? MemberBytes { get; init; }

    /// <summary>Whether to keep a write-intent bitmap. RAID 0 has none.</summary>
    public bool Bitmap { get; init; } = true;

    /// <summary>
    /// Whether to log partial parity instead of a bitmap: RAID 5 alone. It costs writes and flushes, and leaves nothing uncertain after
    /// an unclean stop, a member missing or not.
    /// </summary>
    public bool PartialParityLog { get; init; }

    /// <summary>
    /// Skip the first resync: true only for members that are known to agree (new files that read as zeros do, at every level).
    /// </summary>
    public bool AssumeClean { get; init; }

    /// <summary>The array's identity; null = a new one.</summary>
    public Guid? Id { get; init; }
}

using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>A device with its place in an array. State and place change under the array's metadata lock only.</summary>
public sealed class ArrayMember
{
    internal ArrayMember(IMemberDevice device, MdSuperblock superblock, BadBlockLog badBlocks) =>
        (Device, Superblock, BadBlocks) = (device, superblock, badBlocks);

    /// <summary>The device.</summary>
    public IMemberDevice Device { get; }

    /// <summary>What it is now.</summary>
    public MemberState State { get; internal set; }

    /// <summary>The slot it fills, -1 for none.</summary>
    public int Slot { get; internal set; } = -1;

    /// <summary>Whether it is to take over from a member that still works.</summary>
    public bool IsReplacement { get; internal set; }

    /// <summary>Read errors that were answered from redundancy and written anew.</summary>
    public int CorrectedReads { get; internal set; }

    /// <summary>Its own copy of the metadata, as last composed.</summary>
    public MdSuperblock Superblock { get; internal set; }

    internal BadBlockLog BadBlocks { get; }

    /// <summary>While rebuilding: the sync chunks that are not right yet.</summary>
    internal ChunkSet? Stale { get; set; }

    /// <summary>While rebuilding: chunks below this one are durably right.</summary>
    internal long Checkpoint { get; set; }

    /// <summary>Whether the rebuild copies only what the bitmap names (md's RECOVERY_BITMAP).</summary>
    internal bool StaleByBitmap { get; set; }

    internal bool Writable => State is MemberState.InSync or MemberState.Rebuilding;

    private long DataStart => (long)Superblock.DataOffset * 512;

    internal ValueTask ReadAsync(long sector, Memory<byte> buffer) => Device.ReadAsync(DataStart + sector * 512, buffer);

    internal ValueTask WriteAsync(long sector, ReadOnlyMemory<byte> buffer) => Device.WriteAsync(DataStart + sector * 512, buffer);

    internal ValueTask ZeroAsync(long sector, long count) => Device.ZeroAsync(DataStart + sector * 512, count * 512);

    /// <summary>It fills its slot with everything that was acknowledged. One whose device lags never does.</summary>
    internal bool IsCurrent => State == MemberState.InSync && !Device.Lags;

    /// <summary>Whether these sectors may be read from it.</summary>
    internal bool Readable(ChunkRange chunks, long sector, long count) => !Device.Lags && Holds(chunks, sector, count);

    /// <summary>Whether these sectors hold what they should, or will once the device has done what it was given.</summary>
    internal bool Holds(ChunkRange chunks, long sector, long count) =>
        (State == MemberState.InSync || State == MemberState.Rebuilding && Stale is { } stale && !stale.Any(chunks))
        && (BadBlocks.IsEmpty || !BadBlocks.Overlaps(sector, count));
}

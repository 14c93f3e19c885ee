using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>
/// Recognises a device that left the array lately: nothing was forgotten by the bitmap since (its events are not below
/// <c>events_cleared</c>), and its old slot is still empty. One that left in the middle of a rebuild too: while its slot had nobody else
/// no bit was taken back, so it lacks what it lacked then and what the bitmap names. Not a replacement: beside it the slot was filled.
/// </summary>
internal static class ReturningMember
{
    /// <summary>The member with the slot to fill, not yet part of the array; null if it must be rebuilt from the start.</summary>
    public static async Task<ArrayMember?> FindAsync(ArrayMetadata metadata, Guid id, IMemberDevice device)
    {
        if (metadata.Intent is not { OnDisk: true } intent) return null;
        try
        {
            var member = await MemberReader.ReadAsync(device).ConfigureAwait(false);
            var own = member.Superblock;
            var slot = own.Role;
            if (own.ArrayId != id || slot >= metadata.Geometry.Members || metadata.Slots[slot] is not null) return null;
            if (own.Events < intent.EventsCleared || own.Features.HasFlag(MdFeatures.Replacement)) return null;
            if (metadata.Members.Any(other => other.Superblock.DeviceNumber == own.DeviceNumber)) return null;
            member.Slot = slot;
            return member;
        }
        catch (MdFormatException)
        {
            return null;
        }
    }

    /// <summary>Of one that left in the middle of a whole rebuild: the chunks below this one it has; null when it lacks no more than the bitmap names.</summary>
    public static long? RebuiltChunks(ArrayMetadata metadata, ArrayMember member)
    {
        var own = member.Superblock;
        if (!own.Features.HasFlag(MdFeatures.RecoveryOffset) || own.Features.HasFlag(MdFeatures.RecoveryBitmap)) return null;
        var done = (long)Math.Min(own.RecoveryOffset, (ulong)metadata.Geometry.MemberSectors);
        // RAID 10 counts recovery in member sectors and bits in array sectors.
        if (metadata.Geometry.Level == RaidLevel.Raid10) done = done * metadata.Geometry.Members / 2;
        return done / metadata.Intent!.ChunkSectors;
    }
}

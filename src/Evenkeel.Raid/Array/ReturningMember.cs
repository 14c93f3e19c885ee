using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>
/// Recognises a device that left the array lately: nothing was forgotten by the bitmap since (its events are not below
/// <c>events_cleared</c>), and its old slot is still empty.
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
            if (own.Events < intent.EventsCleared || own.Features.HasFlag(MdFeatures.RecoveryOffset)) return null;
            if (metadata.Members.Any(other => other.Superblock.DeviceNumber == own.DeviceNumber)) return null;
            member.Slot = slot;
            return member;
        }
        catch (MdFormatException)
        {
            return null;
        }
    }
}

using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>
/// Uses more of each member of an array that does not run. A new bitmap goes to a member before the superblock that it belongs to, and
/// an update is one sector: after a power cut the array comes up with its old size or its new one, with the same data.
/// </summary>
public static class ArrayGrowth
{
    /// <summary>Grows and stops; the new room is out of sync until the next run has made it good.</summary>
    /// <param name="devices">All members.</param>
    /// <param name="memberBytes">Bytes to use of each, null = what the smallest has.</param>
    /// <param name="assumeClean">The new room already agrees on all members, as zeros do.</param>
    /// <param name="options">How the array is opened.</param>
    /// <returns>The array's bytes before and after.</returns>
    /// <exception cref="ArrayNotReadyException">It is degraded, dirty, or cannot grow.</exception>
    public static async Task<(long Before, long After)> GrowAsync(IReadOnlyList<IMemberDevice> devices, long? memberBytes, bool assumeClean, ArrayOptions options)
    {
        await using var array = await ArrayAssembly.OpenAsync(devices, options).ConfigureAwait(false);
        var old = array.Metadata;
        if (old.Geometry.Level == RaidLevel.Raid0) throw new ArrayNotReadyException("RAID 0 cannot grow by size; its members' sizes are its layout.");
        if (array.IsDegraded || array.IsDirty || array.OutOfSyncBytes > 0 || array.Members.Any(member => member.State == MemberState.Rebuilding))
            throw new ArrayNotReadyException("Only a clean and complete array grows: run it until its resync and rebuild have ended, and stop it.");

        var room = array.Members.Min(member => member.Device.Length / 512 - (long)member.Superblock.DataOffset);
        var wanted = memberBytes / 512 ?? room;
        if (wanted > room) throw new ArrayNotReadyException($"The smallest member has room for {room * 512} bytes, {wanted * 512} are asked for.");
        var geometry = new ArrayGeometry(old.Geometry.Level, old.Geometry.Members, Math.Max(old.Geometry.ChunkSectors, 8), wanted);
        if (geometry.MemberSectors <= old.Geometry.MemberSectors) throw new ArrayNotReadyException("The members have no more room than the array uses already.");

        using var metadata = new ArrayMetadata(geometry, options) { Events = old.Events };
        foreach (var member in array.Members)
        {
            metadata.Enlist(member);
            if (member.Slot >= 0) metadata.Place(member, member.Slot);
            member.Superblock = member.Superblock with { DataSize = (ulong)(member.Device.Length / 512) - member.Superblock.DataOffset };
        }

        using var intent = IntentFor(metadata, old, assumeClean);
        metadata.Intent = intent;
        if (!assumeClean) metadata.ResyncOffset = (ulong)old.Geometry.SyncSectors;
        foreach (var member in metadata.Working) await intent.CopyBitsAsync(member).ConfigureAwait(false);
        await metadata.ChangeAsync(() => { }).ConfigureAwait(false);
        // From here on the old books are wrong: they must not be written again.
        array.Abandon();
        return (array.Length, geometry.Sectors * ArrayGeometry.SectorBytes);
    }

    private static WriteIntent IntentFor(ArrayMetadata metadata, ArrayMetadata old, bool assumeClean)
    {
        var pattern = metadata.Members[0].Superblock;
        long before = old.Geometry.SyncSectors, after = metadata.Geometry.SyncSectors;
        var place = old.Intent!.Header;
        var chunk = (uint)(old.Intent.ChunkSectors * 512);
        if (place is not null)
            while ((after * 512 + chunk - 1) / chunk > ((long)place.ReservedSectors * 512 - BitmapHeader.Bytes) * 8) chunk *= 2;
        var header = new BitmapHeader(pattern.ArrayId, old.Events, old.Events, (ulong)after, 0, chunk, 5, place?.ReservedSectors ?? 0);
        ChunkSet dirty = new(header.Bits), outOfSync = new(header.Bits);
        if (!assumeClean)
        {
            dirty.AddFrom(before / (chunk / 512));
            outOfSync.AddFrom(before / (chunk / 512));
        }

        return new WriteIntent(metadata, place is null ? null : header, chunk / 512, dirty, outOfSync);
    }
}

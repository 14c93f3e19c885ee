using System.Collections.Immutable;
using System.Text;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.PartialParity;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>Makes a new array of devices; what was on them is lost.</summary>
public static class ArrayCreation
{
    /// <summary>Writes the metadata to every device and starts the array; it still needs a resync unless assumed clean.</summary>
    /// <exception cref="ArgumentException">The definition does not fit the devices.</exception>
    public static async Task<RaidArray> CreateAsync(ArrayDefinition definition, IReadOnlyList<IMemberDevice> devices, ArrayOptions? options = null)
    {
        options ??= new ArrayOptions();
        if (devices.Count < definition.Slots) throw new ArgumentException($"{definition.Slots} slots need as many devices; {devices.Count} are given.");
        if (definition.Level == RaidLevel.Raid0 && devices.Count > definition.Slots) throw new ArgumentException("RAID 0 has no use for a spare.");
        if (Encoding.UTF8.GetByteCount(definition.Name) > 32) throw new ArgumentException("An array's name has at most 32 bytes.");
        var smallest = devices.Min(device => device.Length) / 512;
        var layout = MemberLayout.For(smallest, definition.PartialParityLog ? LogPlace.SectorsFor(definition.ChunkBytes / 512) : null);
        var room = smallest - layout.DataOffset;
        var wanted = definition.MemberBytes / 512 ?? room;
        if (wanted > room) throw new ArgumentException($"The smallest device has room for {room * 512} bytes of data, {wanted * 512} are asked for.");
        var geometry = new ArrayGeometry(definition.Level, definition.Slots, definition.ChunkBytes / 512, wanted);
        if (definition.Level == RaidLevel.Raid0 && devices.Any(device => (device.Length / 512 - layout.DataOffset) / geometry.ChunkSectors != room / geometry.ChunkSectors))
            throw new ArgumentException("RAID 0 here needs members of equal size; unequal zones are not supported.");
        if (definition.PartialParityLog && definition.Level != RaidLevel.Raid5) throw new ArgumentException("A partial parity log is for RAID 5.");
        var bitmap = definition.Bitmap && !definition.PartialParityLog && definition.Level != RaidLevel.Raid0;
        var metadata = new ArrayMetadata(geometry, options);
        var id = definition.Id ?? Guid.NewGuid();
        if (definition.PartialParityLog) metadata.Log = new PartialParityLog(metadata, id);
        var created = options.Time.GetUtcNow(); // one for all: mdadm does not take members for one array that differ in it
        var roles = Enumerable.Repeat(MdSuperblock.SpareRole, 128).ToImmutableArray();
        for (var number = 0; number < devices.Count; number++)
        {
            var superblock = new MdSuperblock
            {
                Features = bitmap ? MdFeatures.Bitmap : definition.PartialParityLog ? MdFeatures.PartialParityLog : MdFeatures.None,
                ArrayId = id,
                Name = definition.Name,
                Created = created,
                Level = definition.Level,
                Layout = MdSuperblockRules.LayoutOf(definition.Level),
                Size = definition.Level == RaidLevel.Raid0 ? 0 : (ulong)geometry.MemberSectors,
                ChunkSectors = (uint)geometry.ChunkSectors,
                Slots = geometry.Members,
                BitmapOffset = bitmap ? layout.BitmapOffset : 0,
                PartialParityOffset = (short)(definition.PartialParityLog ? layout.BitmapOffset : 0),
                PartialParitySectors = (ushort)(definition.PartialParityLog ? layout.BitmapSectors : 0),
                Roles = roles,
                DataOffset = (ulong)layout.DataOffset,
                // RAID 0 takes its size from here.
                DataSize = (ulong)(definition.Level == RaidLevel.Raid0 ? geometry.MemberSectors : devices[number].Length / 512 - layout.DataOffset),
                DeviceNumber = (uint)number,
                DeviceId = Guid.NewGuid(),
                BadBlockSectors = MemberLayout.BadBlockSectors,
                BadBlockOffset = layout.BadBlockOffset,
            };
            var member = new ArrayMember(devices[number], superblock, BadBlockLog.Empty) { State = number < definition.Slots ? MemberState.InSync : MemberState.Spare };
            metadata.Enlist(member);
            if (number < definition.Slots) metadata.Place(member, number);
            await ClearAsync(member, layout).ConfigureAwait(false);
        }

        if (definition.Level != RaidLevel.Raid0)
        {
            var chunk = layout.BitmapChunkBytes(geometry.SyncSectors);
            var header = new BitmapHeader(id, 0, 0, (ulong)geometry.SyncSectors, 0, chunk, 5, (uint)layout.BitmapSectors);
            ChunkSet dirty = new(header.Bits), outOfSync = new(header.Bits);
            if (!definition.AssumeClean && definition.PartialParityLog)
            {
                // As mdadm does: parity is made good by building the last member from the others, so no resync can be left half done.
                var last = metadata.Slots[^1]!;
                (last.State, last.Stale) = (MemberState.Rebuilding, new ChunkSet(header.Bits));
                last.Stale.AddFrom(0);
            }
            else if (!definition.AssumeClean)
            {
                dirty.AddFrom(0);
                outOfSync.AddFrom(0);
                metadata.ResyncOffset = 0;
            }

            metadata.Intent = new WriteIntent(metadata, bitmap ? header : null, chunk / 512, dirty, outOfSync);
            foreach (var member in metadata.Members) await metadata.Intent.CopyBitsAsync(member).ConfigureAwait(false);
        }

        await metadata.ChangeAsync(() => { }).ConfigureAwait(false);
        return new RaidArray(metadata, id, definition.Name);
    }

    // Old bitmaps and bad-block lists must not speak for the new array; all ones end the list of bad blocks.
    private static async Task ClearAsync(ArrayMember member, MemberLayout layout)
    {
        var start = MdSuperblockCodec.ByteOffset;
        var bytes = new byte[(8 + layout.BitmapSectors) * 512];
        await member.Device.WriteAsync(start, bytes).ConfigureAwait(false);
        var log = new byte[MemberLayout.BadBlockSectors * 512];
        System.Array.Fill<byte>(log, 0xff);
        await member.Device.WriteAsync(start + layout.BadBlockOffset * 512L, log).ConfigureAwait(false);
        if (member.Superblock.PartialParitySectors > 0) await LogPlace.ClearAsync(member).ConfigureAwait(false);
        await member.Device.FlushAsync().ConfigureAwait(false);
    }
}

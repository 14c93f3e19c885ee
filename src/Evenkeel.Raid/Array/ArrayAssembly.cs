using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.PartialParity;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>
/// Starts an array from its members. The superblock with the most events is right about who belongs; a member that is more than one
/// event behind missed something and is left out (one: a change between clean and dirty that a power cut caught half done).
/// </summary>
public static class ArrayAssembly
{
    /// <summary>Starts the array. Devices that do not take part are closed and reported as events of kind LeftOut.</summary>
    /// <exception cref="AssemblyRefusedException">Too few members, or data may be lost; see <see cref="ArrayOptions.Force"/>.</exception>
    /// <exception cref="MdFormatException">A device is no md member, or uses what is not supported.</exception>
    public static async Task<RaidArray> OpenAsync(IReadOnlyList<IMemberDevice> devices, ArrayOptions? options = null)
    {
        options ??= new ArrayOptions();
        if (devices.Count == 0) throw new AssemblyRefusedException("No devices are given.");
        var found = new List<ArrayMember>();
        foreach (var device in devices) found.Add(await MemberReader.ReadAsync(device).ConfigureAwait(false));
        await LeaveStrangersOutAsync(found, options).ConfigureAwait(false);
        var freshest = found.MaxBy(member => member.Superblock.Events)!.Superblock;
        if (found.Select(member => member.Superblock.DeviceNumber).Distinct().Count() != found.Count)
            throw new AssemblyRefusedException("Two devices claim the same number: one is a copy of the other.");

        var geometry = MdSuperblockRules.GeometryOf(freshest);
        var metadata = new ArrayMetadata(geometry, options) { Events = freshest.Events, ResyncOffset = freshest.ResyncOffset };
        foreach (var member in found)
        {
            if (freshest.HasLog && !LogPlace.TryAdopt(member, freshest))
                throw new AssemblyRefusedException($"{member.Device.Name} has no room for a partial parity log.");
            if (Enlist(metadata, member, freshest)) continue;
            options.OnEvent(new ArrayEvent("LeftOut", member.Device.Name, $"its metadata are older ({member.Superblock.Events} events, the array has {freshest.Events})"));
            await member.Device.DisposeAsync().ConfigureAwait(false);
        }

        var dirty = freshest.ResyncOffset != MdSuperblock.Clean && geometry.Level != RaidLevel.Raid0;
        var logged = freshest.HasLog;
        RefuseMissingData(metadata);
        var recovery = logged && dirty ? await LogRecovery.ReadAsync(metadata).ConfigureAwait(false) : null;
        if (recovery is null) RefuseUncertainData(metadata, dirty, options);
        if (logged) metadata.Log = new PartialParityLog(metadata, freshest.ArrayId);
        if (geometry.Level != RaidLevel.Raid0) await LoadIntentAsync(metadata, freshest, dirty && !(recovery is not null && freshest.ResyncOffset == 0)).ConfigureAwait(false);
        if (recovery is not null) await recovery.ApplyAsync(metadata).ConfigureAwait(false);
        if (logged) await StartLogsAsync(metadata, resync: dirty && recovery is null).ConfigureAwait(false);
        await metadata.ChangeAsync(() => { }).ConfigureAwait(false);
        if (metadata.Degraded) options.OnEvent(new ArrayEvent("DegradedArray", null, "The array runs with less redundancy than it should."));
        var array = new RaidArray(metadata, freshest.ArrayId, freshest.Name);
        await array.UseSparesAsync().ConfigureAwait(false);
        return array;
    }

    // A spare that was lent to another array is still in the list that this one is started with. Without a majority nobody can say which
    // array is meant.
    private static async Task LeaveStrangersOutAsync(List<ArrayMember> found, ArrayOptions options)
    {
        var most = found.GroupBy(member => member.Superblock.ArrayId).MaxBy(array => array.Count())!;
        var strangers = found.Where(member => member.Superblock.ArrayId != most.Key).ToArray();
        if (strangers.Length > 0 && most.Count() * 2 <= found.Count)
            throw new AssemblyRefusedException($"{strangers[0].Device.Name} belongs to another array, {strangers[0].Superblock.ArrayId}.");
        foreach (var stranger in strangers)
        {
            found.Remove(stranger);
            options.OnEvent(new ArrayEvent("LeftOut", stranger.Device.Name, $"it belongs to another array, {stranger.Superblock.ArrayId}"));
            await stranger.Device.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static bool Enlist(ArrayMetadata metadata, ArrayMember member, MdSuperblock freshest)
    {
        var own = member.Superblock;
        if (own.Events + 1 < freshest.Events || own.DeviceNumber >= freshest.Roles.Length) return false;
        var role = freshest.Roles[(int)own.DeviceNumber];
        if (role == MdSuperblock.FaultyRole) return false;
        if (own.Roles.Length < freshest.Roles.Length) member.Superblock = own with { Roles = freshest.Roles };
        if (role == MdSuperblock.SpareRole && own.Role != MdSuperblock.SpareRole) return false; // dropped while away
        if (own.Role != role || role == MdSuperblock.SpareRole)
        {
            // A spare, or one that was given its slot just before the power went and holds nothing yet.
            member.State = MemberState.Spare;
            metadata.Enlist(member);
            return true;
        }

        var replacement = own.Features.HasFlag(MdFeatures.Replacement);
        if ((replacement ? metadata.Replacements : metadata.Slots)[role] is not null)
            throw new AssemblyRefusedException($"Two devices claim slot {role}.");
        member.State = own.Features.HasFlag(MdFeatures.RecoveryOffset) ? MemberState.Rebuilding : MemberState.InSync;
        metadata.Enlist(member);
        metadata.Place(member, role, replacement);
        return true;
    }

    private static int Present(ArrayMetadata metadata) => metadata.Slots.Count(member => member is { State: MemberState.InSync });

    private static void RefuseMissingData(ArrayMetadata metadata)
    {
        if (!metadata.Survives(without: null))
            throw new AssemblyRefusedException(
                $"RAID {(int)metadata.Geometry.Level} with {Present(metadata)} of {metadata.Geometry.Members} up-to-date members cannot be started: data are missing.");
    }

    // Empty logs say that nothing is uncertain. So when a log could not be believed, they are written only once the superblock can say
    // that a resync is due: which for such an array means that it begins beyond the first chunk.
    private static async Task StartLogsAsync(ArrayMetadata metadata, bool resync)
    {
        await metadata.FlushAsync().ConfigureAwait(false);
        if (resync && !metadata.Degraded && metadata.Intent is { } intent)
        {
            var engine = new ParityEngine(metadata, Parity.ParityKernel.Best);
            for (long sector = 0, end = Math.Min(intent.ChunkSectors, metadata.Geometry.SyncSectors); sector < end;)
            {
                var count = Math.Min(end - sector, engine.SyncStep - sector % engine.SyncStep);
                await engine.SyncAsync(sector, count, SyncKind.Repair).ConfigureAwait(false);
                sector += count;
            }

            await metadata.FlushAsync().ConfigureAwait(false);
            intent.OutOfSync[0] = false;
            await metadata.ChangeAsync(() => metadata.ResyncOffset = (ulong)intent.ChunkSectors).ConfigureAwait(false);
        }

        foreach (var member in metadata.Working) await LogPlace.ClearAsync(member).ConfigureAwait(false);
    }

    private static void RefuseUncertainData(ArrayMetadata metadata, bool dirty, ArrayOptions options)
    {
        var geometry = metadata.Geometry;
        var present = Present(metadata);
        if (!dirty || !geometry.HasParity || !metadata.Degraded || options.Force) return;
        throw new AssemblyRefusedException(
            $"The array was not stopped cleanly and {geometry.Members - present} of {geometry.Members} members are missing. In rows that were being "
            + "written, what the missing members held is computed from parity that may be half old: such data, also data that were not "
            + "written at the time, may come back wrong. Bring the missing members back, or use --force to accept that.");
    }

    private static async Task LoadIntentAsync(ArrayMetadata metadata, MdSuperblock freshest, bool dirty)
    {
        var sync = metadata.Geometry.SyncSectors;
        (BitmapHeader Header, ChunkSet Bits)? bitmap = null;
        foreach (var member in metadata.Slots)
        {
            if (member is not { State: MemberState.InSync }) continue;
            var found = await MemberReader.ReadBitmapAsync(member, member.Superblock.Events, sync).ConfigureAwait(false);
            if (found is not { } read) continue;
            if (bitmap is null) bitmap = read;
            else if (bitmap.Value.Bits.Size == read.Bits.Size)
            {
                bitmap.Value.Bits.Add(read.Bits);
                if (read.Header.EventsCleared > bitmap.Value.Header.EventsCleared) bitmap = (read.Header, bitmap.Value.Bits);
            }
        }

        var hasBitmap = freshest.Features.HasFlag(MdFeatures.Bitmap);
        var header = bitmap?.Header;
        if (header is null)
        {
            var layout = MemberLayout.For((long)(freshest.DataOffset + freshest.DataSize));
            header = new BitmapHeader(freshest.ArrayId, freshest.Events, freshest.Events, (ulong)sync, 0, layout.BitmapChunkBytes(sync), 5, (uint)layout.BitmapSectors);
            // The bitmap that the superblock promises is unreadable: all may be out of sync. Its room is unknown, so none is written.
            if (hasBitmap) throw new AssemblyRefusedException("The write-intent bitmap is damaged on every member; remove it with mdadm (--bitmap=none) and assemble again.");
        }

        var bits = bitmap?.Bits ?? new ChunkSet(header.Bits);
        var outOfSync = new ChunkSet(header.Bits);
        var chunkSectors = header.ChunkBytes / 512;
        if (dirty && bitmap is not null) outOfSync.Add(bits);
        else if (dirty) outOfSync.AddFrom(Math.Min((long)Math.Min(freshest.ResyncOffset, (ulong)sync) / chunkSectors, header.Bits));
        bits.Add(outOfSync);
        metadata.Intent = new WriteIntent(metadata, hasBitmap ? header : null, chunkSectors, bits, outOfSync);
        foreach (var member in metadata.Members) RestoreRebuild(metadata, member, bits);
        foreach (var member in metadata.Working) await metadata.Intent.CopyBitsAsync(member).ConfigureAwait(false);
    }

    private static void RestoreRebuild(ArrayMetadata metadata, ArrayMember member, ChunkSet bits)
    {
        if (member.State != MemberState.Rebuilding) return;
        member.Stale = new ChunkSet(bits.Size);
        if (member.Superblock.Features.HasFlag(MdFeatures.RecoveryBitmap))
        {
            member.StaleByBitmap = true;
            member.Stale.Add(bits);
            return;
        }

        member.Checkpoint = ReturningMember.RebuiltChunks(metadata, member)!.Value;
        member.Stale.AddFrom(member.Checkpoint);
    }
}

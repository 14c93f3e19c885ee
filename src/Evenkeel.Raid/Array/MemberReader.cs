using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>Reads what a device says about itself; writes nothing.</summary>
internal static class MemberReader
{
    /// <exception cref="MdFormatException">No usable superblock.</exception>
    public static async Task<ArrayMember> ReadAsync(IMemberDevice device)
    {
        if (device.Length < MdSuperblockCodec.ByteOffset + MdSuperblockCodec.MaximumBytes) throw new MdFormatException($"{device.Name} is too small to be a member.");
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        await device.ReadAsync(MdSuperblockCodec.ByteOffset, bytes).ConfigureAwait(false);
        MdSuperblock superblock;
        try
        {
            superblock = MdSuperblockCodec.Read(bytes);
        }
        catch (MdFormatException e)
        {
            throw new MdFormatException($"{device.Name}: {e.Message}");
        }

        var needed = (long)superblock.DataOffset + MdSuperblockRules.GeometryOf(superblock).MemberSectors;
        if (device.Length / 512 < needed) throw new MdFormatException($"{device.Name} is shorter than its superblock says: {device.Length} bytes, {needed * 512} are needed.");
        var log = BadBlockLog.Empty;
        if (superblock.Features.HasFlag(MdFeatures.BadBlocks) && superblock.BadBlockSectors > 0)
        {
            var entries = new byte[superblock.BadBlockSectors * 512];
            await device.ReadAsync(MdSuperblockCodec.ByteOffset + superblock.BadBlockOffset * 512L, entries).ConfigureAwait(false);
            log = BadBlockLog.Read(entries, superblock.BadBlockShift);
        }

        return new ArrayMember(device, superblock, log);
    }

    /// <summary>The member's bitmap, or null if it is missing, damaged, stale, or not this array's.</summary>
    public static async Task<(BitmapHeader Header, ChunkSet Bits)?> ReadBitmapAsync(ArrayMember member, ulong events, long syncSectors)
    {
        if (!member.Superblock.Features.HasFlag(MdFeatures.Bitmap)) return null;
        var start = MdSuperblockCodec.ByteOffset + member.Superblock.BitmapOffset * 512L;
        var first = new byte[512];
        await member.Device.ReadAsync(start, first).ConfigureAwait(false);
        BitmapHeader header;
        try
        {
            header = BitmapHeader.Read(first);
        }
        catch (MdFormatException e) when (!e.Message.StartsWith("Bitmap version", StringComparison.Ordinal))
        {
            return null;
        }

        if (header.ArrayId != member.Superblock.ArrayId) return null;
        // Made for another size: a power cut while the array grew. Its bits say nothing about this size.
        var stale = header.Events < events || (header.State & 3) != 0 || header.SyncSectors != (ulong)syncSectors;
        header = header with { SyncSectors = (ulong)syncSectors };
        var bytes = new byte[(BitmapHeader.Bytes + (header.Bits + 7) / 8 + 511) / 512 * 512];
        if (start + bytes.Length > (long)member.Superblock.DataOffset * 512) return null;
        await member.Device.ReadAsync(start, bytes).ConfigureAwait(false);
        var bits = new ChunkSet(header.Bits);
        for (long chunk = 0; chunk < header.Bits; chunk++)
            if (stale || (bytes[BitmapHeader.Bytes + chunk / 8] >> (int)(chunk & 7) & 1) != 0) bits[chunk] = true;
        return (header, bits);
    }
}

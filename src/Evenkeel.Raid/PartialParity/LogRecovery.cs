using Evenkeel.Raid.Array;

namespace Evenkeel.Raid.PartialParity;

/// <summary>
/// After an unclean stop: the parity of every row that was being written is computed anew from its log. Where a block that was being
/// written is missing, the row is left as it is: only that write, never acknowledged, is uncertain.
/// </summary>
internal sealed class LogRecovery
{
    private readonly List<(ArrayMember Member, LogEntry Entry, byte[] Partial)> _found = [];

    /// <summary>Reads the logs of all members that fill a slot; null if one cannot be believed. Writes nothing.</summary>
    public static async Task<LogRecovery?> ReadAsync(ArrayMetadata metadata)
    {
        var recovery = new LogRecovery();
        for (var slot = 0; slot < metadata.Geometry.Members; slot++)
            if (metadata.Slots[slot] is { } member && !await recovery.ReadAsync(metadata, member, slot).ConfigureAwait(false)) return null;
        return recovery;
    }

    /// <summary>Writes the parities. The caller flushes, and only then clears the logs.</summary>
    public async Task ApplyAsync(ArrayMetadata metadata)
    {
        foreach (var (member, entry, partial) in _found) await ApplyAsync(metadata, member, entry, partial).ConfigureAwait(false);
    }

    private async Task<bool> ReadAsync(ArrayMetadata metadata, ArrayMember member, int slot)
    {
        var log = new byte[Math.Max(member.Superblock.PartialParitySectors * 512, LogHeader.Bytes)];
        try
        {
            await member.Device.ReadAsync(LogPlace.Of(member.Superblock), log).ConfigureAwait(false);
        }
        catch (IOException)
        {
            return false;
        }

        if (LogHeader.FindNewest(log, LogHeader.SignatureOf(member.Superblock.ArrayId)) is not { } newest) return false;
        long at = newest.PartialsAt;
        foreach (var entry in newest.Entries)
        {
            if (!IsPossible(metadata, entry, slot) || at + entry.PartialBytes > log.Length) return false;
            var partial = log.AsSpan((int)at, entry.PartialBytes);
            if (Crc32C.Of(partial) != entry.Checksum) return false;
            _found.Add((member, entry, partial.ToArray()));
            at += entry.PartialBytes;
        }

        return true;
    }

    private static bool IsPossible(ArrayMetadata metadata, LogEntry entry, int slot)
    {
        var geometry = metadata.Geometry;
        if (entry.ParitySlot != slot || entry.ArraySector < 0 || entry.DataBytes <= 0 || entry.PartialBytes < 0 || (entry.DataBytes | entry.PartialBytes) % 512 != 0) return false;
        if (entry.ArraySector >= geometry.Sectors) return false;
        var (first, blocks, columns) = Shape(metadata, entry);
        var within = entry.ArraySector % geometry.ChunkSectors;
        return columns > 0 && blocks > 0 && columns * blocks * 512L == entry.DataBytes && within + columns <= geometry.ChunkSectors
            && first + blocks <= geometry.DataMembers && geometry.ParityMember(entry.ArraySector / geometry.ChunkSectors / geometry.DataMembers) == slot;
    }

    // The first data block changed, how many, and how many columns of each.
    private static (int First, int Blocks, int Columns) Shape(ArrayMetadata metadata, LogEntry entry)
    {
        var first = (int)(entry.ArraySector / metadata.Geometry.ChunkSectors % metadata.Geometry.DataMembers);
        var blocks = entry.PartialBytes > 0 ? entry.DataBytes / entry.PartialBytes : metadata.Geometry.DataMembers;
        return (first, blocks, entry.DataBytes / 512 / Math.Max(blocks, 1));
    }

    private static async Task ApplyAsync(ArrayMetadata metadata, ArrayMember holder, LogEntry entry, byte[] partial)
    {
        var geometry = metadata.Geometry;
        var (first, blocks, columns) = Shape(metadata, entry);
        var row = entry.ArraySector / geometry.ChunkSectors / geometry.DataMembers;
        var at = row * geometry.ChunkSectors + entry.ArraySector % geometry.ChunkSectors;
        var parity = new byte[columns * 512];
        partial.CopyTo(parity, 0);
        var block = new byte[parity.Length];
        for (var index = first; index < first + blocks; index++)
        {
            if (metadata.Slots[geometry.StripeMember(row, index)] is not { } member || !member.Readable(metadata.ChunksOf(at, columns), at, columns)) return;
            await member.ReadAsync(at, block).ConfigureAwait(false);
            for (var i = 0; i < block.Length; i++) parity[i] ^= block[i];
        }

        await holder.WriteAsync(at, parity).ConfigureAwait(false);
        if (metadata.Replacements[entry.ParitySlot] is { Writable: true } replacement) await replacement.WriteAsync(at, parity).ConfigureAwait(false);
    }
}

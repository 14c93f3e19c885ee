using static System.Buffers.Binary.BinaryPrimitives;

namespace Evenkeel.Raid.PartialParity;

/// <summary>
/// The 4 KiB before the partial parity (<c>struct ppl_header</c> in Linux <c>md_p.h</c>). There is one log on each member, for the rows
/// whose parity that member holds. The data follow in the order of the entries.
/// </summary>
internal static class LogHeader
{
    public const int Bytes = 4096;

    /// <summary>What fits into a header.</summary>
    public const int MaximumEntries = (Bytes - FirstEntry) / EntryBytes;

    private const int Reserved = 512;
    private const int FirstEntry = Reserved + 24;
    private const int EntryBytes = 24;

    /// <summary>What ties a log to its array.</summary>
    public static uint SignatureOf(Guid array)
    {
        Span<byte> id = stackalloc byte[16];
        array.TryWriteBytes(id, bigEndian: true, out _);
        return Crc32C.Of(id);
    }

    public static void Write(Span<byte> bytes, uint signature, ulong generation, IReadOnlyList<LogEntry> entries)
    {
        bytes[..Bytes].Clear();
        bytes[..Reserved].Fill(0xff);
        WriteUInt32LittleEndian(bytes[512..], signature);
        WriteUInt64LittleEndian(bytes[520..], generation);
        WriteInt32LittleEndian(bytes[528..], entries.Count);
        for (var i = 0; i < entries.Count; i++)
        {
            var at = bytes[(FirstEntry + i * EntryBytes)..];
            WriteInt64LittleEndian(at, entries[i].ArraySector);
            WriteInt32LittleEndian(at[8..], entries[i].PartialBytes);
            WriteInt32LittleEndian(at[12..], entries[i].DataBytes);
            WriteInt32LittleEndian(at[16..], entries[i].ParitySlot);
            WriteUInt32LittleEndian(at[20..], entries[i].Checksum);
        }

        WriteUInt32LittleEndian(bytes[532..], Crc32C.Of(bytes[..Bytes]));
    }

    /// <summary>
    /// The newest header of a log, for the kernel writes them one behind the other and begins anew at the end; with where its partial
    /// parities begin. Null if there is none: the first is torn, damaged, or another array's.
    /// </summary>
    public static (IReadOnlyList<LogEntry> Entries, int PartialsAt)? FindNewest(ReadOnlySpan<byte> log, uint signature)
    {
        (IReadOnlyList<LogEntry> Entries, int PartialsAt)? newest = null;
        ulong generation = 0;
        for (var at = 0; at + Bytes <= log.Length;)
        {
            if (Read(log[at..], signature) is not { } entries) break;
            var own = ReadUInt64LittleEndian(log[(at + 520)..]);
            if (newest is not null && own < generation) break;
            (newest, generation) = ((entries, at + Bytes), own);
            long next = at + Bytes;
            foreach (var entry in entries) next += entry.PartialBytes;
            if (next > log.Length) break;
            at = (int)next;
        }

        return newest;
    }

    /// <summary>The entries; null if the header is torn, damaged, or another array's.</summary>
    public static IReadOnlyList<LogEntry>? Read(ReadOnlySpan<byte> bytes, uint signature)
    {
        Span<byte> copy = stackalloc byte[Bytes];
        bytes[..Bytes].CopyTo(copy);
        copy.Slice(532, 4).Clear();
        if (ReadUInt32LittleEndian(bytes[532..]) != Crc32C.Of(copy) || ReadUInt32LittleEndian(bytes[512..]) != signature) return null;
        var count = ReadUInt32LittleEndian(bytes[528..]);
        if (count > MaximumEntries) return null;
        var entries = new LogEntry[count];
        for (var i = 0; i < count; i++)
        {
            var at = bytes[(FirstEntry + i * EntryBytes)..];
            if (ReadInt32LittleEndian(at[8..]) < 0) return null;
            entries[i] = new LogEntry(
                ReadInt64LittleEndian(at), ReadInt32LittleEndian(at[8..]), ReadInt32LittleEndian(at[12..]), ReadInt32LittleEndian(at[16..]), ReadUInt32LittleEndian(at[20..]));
        }

        return entries;
    }
}

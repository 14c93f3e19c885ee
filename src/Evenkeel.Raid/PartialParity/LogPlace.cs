using Evenkeel.Raid.Array;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.PartialParity;

/// <summary>Where a member keeps its log.</summary>
internal static class LogPlace
{
    /// <summary>Room for partial parity that mdadm gives: a chunk, at least 128 KiB; and the header.</summary>
    public static int SectorsFor(int chunkSectors) => LogHeader.Bytes / 512 + Math.Max(chunkSectors, 256);

    public static long Of(MdSuperblock superblock) => MdSuperblockCodec.ByteOffset + superblock.PartialParityOffset * 512L;

    /// <summary>A spare that another tool made may have no log yet: it gets one where the others have theirs, if there is room.</summary>
    public static bool TryAdopt(ArrayMember member, MdSuperblock pattern)
    {
        var own = member.Superblock;
        if (own.HasLog) return true;
        if ((ulong)pattern.PartialParityOffset + pattern.PartialParitySectors + 8 > own.DataOffset) return false;
        member.Superblock = own with
        {
            Features = own.Features | (pattern.Features & MdFeatures.AnyPartialParityLog), PartialParityOffset = pattern.PartialParityOffset, PartialParitySectors = pattern.PartialParitySectors,
        };
        return true;
    }

    /// <summary>
    /// Writes a log without entries, zeros behind it: the kernel may have left headers there, and looks for the newest. Due before a
    /// device fills a slot: what an earlier life of the same array left must not be replayed.
    /// </summary>
    public static ValueTask ClearAsync(ArrayMember member)
    {
        var header = new byte[Math.Max(member.Superblock.PartialParitySectors * 512, LogHeader.Bytes)];
        LogHeader.Write(header, LogHeader.SignatureOf(member.Superblock.ArrayId), 0, []);
        return member.Device.WriteAsync(Of(member.Superblock), header);
    }
}

namespace Evenkeel.Raid.Array;

/// <summary>Where things lie on a new member, chosen as mdadm chooses: superblock, bitmap, bad-block log, room to grow, data. In sectors.</summary>
/// <param name="BitmapOffset">From the superblock; a partial parity log lies at the same place.</param>
/// <param name="BitmapSectors">Room for header and bits, or for that log.</param>
/// <param name="BadBlockOffset">From the superblock.</param>
/// <param name="DataOffset">From the member's start.</param>
public sealed record MemberLayout(int BitmapOffset, int BitmapSectors, int BadBlockOffset, long DataOffset)
{
    /// <summary>The log holds 512 entries.</summary>
    public const int BadBlockSectors = 8;

    /// <summary>The layout for a device of some size, with a partial parity log of some size in the bitmap's place if one is wanted.</summary>
    public static MemberLayout For(long deviceSectors, int? logSectors = null)
    {
        const long gigabyte = 2 * 1024 * 1024;
        var bitmap = logSectors ?? (deviceSectors > 200 * gigabyte ? 256 : deviceSectors > 8 * gigabyte ? 128 : 8);
        var headroom = 262_144L;
        while (headroom * 1024 > deviceSectors && headroom > 2048) headroom /= 2;
        var least = 16 + bitmap + BadBlockSectors;
        var offset = (Math.Max(headroom, least) + 2047) / 2048 * 2048;
        return new MemberLayout(8, bitmap, 8 + bitmap, offset);
    }

    /// <summary>
    /// Bytes that a bitmap bit stands for: fine enough for about 2000 bits, at least 64 KiB, at most md's 64 MiB unless the room asks for more.
    /// </summary>
    public uint BitmapChunkBytes(long syncSectors)
    {
        var room = ((long)BitmapSectors * 512 - Superblock.BitmapHeader.Bytes) * 8;
        var chunk = 64L * 1024;
        while (syncSectors * 512 / chunk > 2048 && chunk < 64L << 20) chunk *= 2;
        while ((syncSectors * 512 + chunk - 1) / chunk > room) chunk *= 2;
        return (uint)chunk;
    }
}

using Evenkeel.Raid.Geometry;

namespace Evenkeel.Raid.Superblock;

/// <summary>What a superblock must say so that this implementation may serve its array: refused is better than guessed.</summary>
public static class MdSuperblockRules
{
    /// <summary>Left-symmetric: parity rotates from the last member down, data follow it.</summary>
    public const uint LeftSymmetric = 2;

    /// <summary>RAID 10, two near copies, one far.</summary>
    public const uint NearTwo = 0x102;

    /// <summary>md's layout number for a level.</summary>
    public static uint LayoutOf(RaidLevel level) => level switch
    {
        RaidLevel.Raid5 or RaidLevel.Raid6 => LeftSymmetric,
        RaidLevel.Raid10 => NearTwo,
        _ => 0,
    };

    /// <exception cref="MdFormatException">Something does not fit, in words for an operator.</exception>
    internal static void Check(MdSuperblock superblock)
    {
        if (!Enum.IsDefined(superblock.Level)) throw new MdFormatException($"Level {(int)superblock.Level} is not supported; 0, 1, 5, 6 and 10 are.");
        if (superblock.Level == RaidLevel.Raid10 && superblock.Layout != NearTwo)
            throw new MdFormatException($"RAID 10 layout {superblock.Layout:x} is not supported: only two near copies (n2) are, neither far nor offset.");
        if (superblock.Level is RaidLevel.Raid5 or RaidLevel.Raid6 && superblock.Layout != LeftSymmetric)
            throw new MdFormatException($"Parity layout {superblock.Layout} is not supported; left-symmetric is.");
        if (superblock.Level == RaidLevel.Raid0 && superblock.Features.HasFlag(MdFeatures.Bitmap)) throw new MdFormatException("RAID 0 with a bitmap makes no sense.");
        if (superblock.Size > long.MaxValue / 1024 || superblock.DataSize > long.MaxValue / 1024 || superblock.DataOffset > long.MaxValue / 1024)
            throw new MdFormatException("A size is beyond what any disk has.");
        if (superblock.Level != RaidLevel.Raid0 && (superblock.Size == 0 || superblock.Size > superblock.DataSize))
            throw new MdFormatException("The member is smaller than the array needs.");
        if (superblock.DataOffset < 16) throw new MdFormatException("The data would overlap the superblock.");
        if (superblock.DeviceNumber >= superblock.Roles.Length) throw new MdFormatException("The member is not in its own device table.");
        if (superblock.Features.HasFlag(MdFeatures.Bitmap) && (superblock.BitmapOffset < 8 || (ulong)superblock.BitmapOffset + 8 >= superblock.DataOffset))
            throw new MdFormatException($"A bitmap {superblock.BitmapOffset} sectors after the superblock is not supported.");
        if (superblock.HasLog) CheckLog(superblock);
        if (superblock.BadBlockSectors > 0 && superblock.BadBlockOffset != 0 && (superblock.BadBlockSectors > 64 || superblock.BadBlockOffset < 8
            || superblock.BadBlockShift > 20 || (ulong)superblock.BadBlockOffset + superblock.BadBlockSectors + 8 > superblock.DataOffset))
            throw new MdFormatException("The bad-block log lies where it cannot.");
        foreach (var role in superblock.Roles)
            if (role < MdSuperblock.FaultyRole && role >= superblock.Slots) throw new MdFormatException($"Role {role} in an array of {superblock.Slots}.");
        try
        {
            GeometryOf(superblock);
        }
        catch (ArgumentException e)
        {
            throw new MdFormatException(e.Message);
        }
    }

    // mdadm makes the log as large as a chunk at least, and puts it between the superblock and the data.
    private static void CheckLog(MdSuperblock superblock)
    {
        if (superblock.Level != RaidLevel.Raid5 || superblock.Features.HasFlag(MdFeatures.Bitmap))
            throw new MdFormatException("A partial parity log is for RAID 5 without a bitmap.");
        if (superblock.PartialParityOffset < 8 || (ulong)superblock.PartialParityOffset + superblock.PartialParitySectors + 8 > superblock.DataOffset)
            throw new MdFormatException($"A partial parity log of {superblock.PartialParitySectors} sectors {superblock.PartialParityOffset} after the superblock is not supported.");
        if (superblock.PartialParitySectors < 8 + superblock.ChunkSectors)
            throw new MdFormatException($"A partial parity log of {superblock.PartialParitySectors} sectors is too small for a chunk of {superblock.ChunkSectors}.");
    }

    /// <summary>The geometry that a superblock describes.</summary>
    public static ArrayGeometry GeometryOf(MdSuperblock superblock) => new(
        superblock.Level, superblock.Slots, (int)Math.Min(superblock.ChunkSectors, int.MaxValue),
        (long)(superblock.Level == RaidLevel.Raid0 ? superblock.DataSize : superblock.Size));
}

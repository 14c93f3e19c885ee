namespace Evenkeel.Raid.Geometry;

/// <summary>
/// The shape of an array: which member sector holds which array sector, exactly as Linux md lays it out.
/// All sizes are in sectors of 512 bytes. A member's sectors are counted from its data offset.
/// </summary>
/// <remarks>
/// Row r is the r-th chunk of every member. RAID 5: P sits on member N−1−(r mod N), data follow it cyclically.
/// RAID 6: the same P, Q right after it, data after Q. RAID 10 near-2: copy c of chunk k is the (2k+c)-th cell, counted across members.
/// </remarks>
public sealed record ArrayGeometry
{
    /// <summary>Bytes in a sector, whatever the disk's own block size.</summary>
    public const int SectorBytes = 512;

    /// <param name="level">The level.</param>
    /// <param name="members">Number of slots.</param>
    /// <param name="chunkSectors">Sectors in a chunk, a power of two of at least 8 (4 KiB); ignored for RAID 1.</param>
    /// <param name="memberSectors">Sectors of each member that hold data; rounded down to whole chunks.</param>
    /// <exception cref="ArgumentException">The level cannot be built so.</exception>
    public ArrayGeometry(RaidLevel level, int members, int chunkSectors, long memberSectors)
    {
        var least = MinimumMembers(level);
        if (members < least || members > 256)
            throw new ArgumentException($"RAID {(int)level} needs {least} to 256 members, not {members}.");
        if (level != RaidLevel.Raid1)
        {
            if (chunkSectors < 8 || !int.IsPow2(chunkSectors) || chunkSectors > 1 << 17)
                throw new ArgumentException($"A chunk must be a power of two from 4 KiB to 64 MiB, not {(long)chunkSectors * SectorBytes} bytes.");
            memberSectors -= memberSectors % chunkSectors;
        }

        if (memberSectors <= 0) throw new ArgumentException("The members are too small to hold one chunk.");
        (Level, Members, ChunkSectors, MemberSectors) = (level, members, level == RaidLevel.Raid1 ? 0 : chunkSectors, memberSectors);
    }

    /// <summary>The level.</summary>
    public RaidLevel Level { get; }

    /// <summary>Slots, filled or not.</summary>
    public int Members { get; }

    /// <summary>Sectors in a chunk; 0 for RAID 1, which has none.</summary>
    public int ChunkSectors { get; }

    /// <summary>Sectors used on each member, whole chunks.</summary>
    public long MemberSectors { get; }

    /// <summary>0, 1 (P) or 2 (P and Q).</summary>
    public int Parities => Level switch { RaidLevel.Raid5 => 1, RaidLevel.Raid6 => 2, _ => 0 };

    /// <summary>Chunks of data in a row of a parity level or RAID 0.</summary>
    public int DataMembers => Members - Parities;

    /// <summary>Copies of each sector.</summary>
    public int Copies => Level switch { RaidLevel.Raid1 => Members, RaidLevel.Raid10 => 2, _ => 1 };

    /// <summary>Whether each row carries parity (RAID 5 and 6).</summary>
    public bool HasParity => Parities > 0;

    /// <summary>What the array offers, in sectors.</summary>
    public long Sectors => Level switch
    {
        RaidLevel.Raid1 => MemberSectors,
        RaidLevel.Raid10 => MemberSectors / ChunkSectors * Members / 2 * ChunkSectors,
        _ => MemberSectors * DataMembers,
    };

    /// <summary>
    /// The space that resync walks and that bitmap bits count: member sectors, except for RAID 10, where md counts array sectors.
    /// </summary>
    public long SyncSectors => Level == RaidLevel.Raid10 ? Sectors : MemberSectors;

    /// <summary>The least number of members; what mdadm accepts with redundancy.</summary>
    public static int MinimumMembers(RaidLevel level) => level switch
    {
        RaidLevel.Raid0 or RaidLevel.Raid1 => 2,
        RaidLevel.Raid5 => 3,
        RaidLevel.Raid6 or RaidLevel.Raid10 => 4,
        _ => throw new ArgumentException($"RAID {(int)level} is not supported; 0, 1, 5, 6 and 10 are."),
    };

    /// <summary>The member that holds P in a row (RAID 5, 6).</summary>
    public int ParityMember(long row) => Members - 1 - (int)(row % Members);

    /// <summary>
    /// The member that holds a block of a row: data blocks come first in logical order, then P (index <see cref="DataMembers"/>), then Q.
    /// </summary>
    public int StripeMember(long row, int index)
    {
        if (!HasParity) return index;
        var p = ParityMember(row);
        return index == DataMembers ? p
            : index > DataMembers ? (p + 1) % Members
            : (p + Parities + index) % Members;
    }

    /// <summary>The inverse of <see cref="StripeMember"/>.</summary>
    public int StripeIndex(long row, int member)
    {
        if (!HasParity) return member;
        var after = (member - ParityMember(row) + Members) % Members;
        return after == 0 ? DataMembers : after < Parities ? DataMembers + 1 : after - Parities;
    }

    /// <summary>The cell that holds a copy of an array sector (RAID 0, 1, 10), and how many sectors follow it contiguously.</summary>
    public Cell CopyOf(long sector, int copy)
    {
        if (Level == RaidLevel.Raid1) return new Cell(copy, sector, MemberSectors - sector);
        var (chunk, within) = Math.DivRem(sector, ChunkSectors);
        var position = Level == RaidLevel.Raid10 ? chunk * 2 + copy : chunk;
        return new Cell((int)(position % Members), position / Members * ChunkSectors + within, ChunkSectors - within);
    }

    /// <summary>The array sector of a member's sector (RAID 0, 1, 10), or null where the layout leaves the cell unused.</summary>
    public long? ArraySector(int member, long memberSector)
    {
        if (Level == RaidLevel.Raid1) return memberSector;
        var (row, within) = Math.DivRem(memberSector, ChunkSectors);
        var position = row * Members + member;
        var sector = (Level == RaidLevel.Raid10 ? position / 2 : position) * ChunkSectors + within;
        return sector < Sectors ? sector : null;
    }
}

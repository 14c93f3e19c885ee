namespace Evenkeel.Raid.Geometry;

/// <summary>The levels that Evenkeel serves; the numbers are md's (<c>level</c> in the superblock).</summary>
public enum RaidLevel
{
    /// <summary>Striped, no redundancy.</summary>
    Raid0 = 0,

    /// <summary>Every member holds everything.</summary>
    Raid1 = 1,

    /// <summary>Striped with one rotating parity; left-symmetric.</summary>
    Raid5 = 5,

    /// <summary>Striped with two rotating parities; left-symmetric, md's native Q placement.</summary>
    Raid6 = 6,

    /// <summary>Striped mirrors, two near copies.</summary>
    Raid10 = 10,
}

namespace Evenkeel.Raid.Array;

/// <summary>What a member is to the array, in md's words.</summary>
public enum MemberState
{
    /// <summary>Holds its share, up to date.</summary>
    InSync,

    /// <summary>Fills a slot, but not all of its share is there yet; it gets every write.</summary>
    Rebuilding,

    /// <summary>Waits for a slot to become free.</summary>
    Spare,

    /// <summary>Failed or removed; nothing is read from it or written to it.</summary>
    Faulty,
}

namespace Evenkeel.Raid.Array;

/// <summary>How far a scrub has come, so that another can go on from there.</summary>
/// <param name="Sector">Sync sectors below this one are done.</param>
/// <param name="Mismatches">Sectors that disagreed until there.</param>
public readonly record struct ScrubPoint(long Sector, long Mismatches);

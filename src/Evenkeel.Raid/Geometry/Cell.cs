namespace Evenkeel.Raid.Geometry;

/// <summary>A place on a member: its slot, the sector there, and how many sectors belong together from that one on.</summary>
public readonly record struct Cell(int Member, long Sector, long Contiguous);

namespace Evenkeel.Raid.Array;

/// <summary>Sync chunks from <paramref name="First"/> to <paramref name="Last"/>, both included.</summary>
public readonly record struct ChunkRange(long First, long Last);

namespace Evenkeel.Raid.Array;

/// <summary>How far a resync, rebuild or scrub is.</summary>
/// <param name="DoneBytes">Bytes of sync space dealt with.</param>
/// <param name="TotalBytes">Bytes of sync space to deal with.</param>
/// <param name="MismatchedSectors">What disagreed so far.</param>
public readonly record struct SyncProgress(long DoneBytes, long TotalBytes, long MismatchedSectors);

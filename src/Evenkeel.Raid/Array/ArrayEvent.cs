namespace Evenkeel.Raid.Array;

/// <summary>What happened, in mdadm monitor's words, for operators and alerts.</summary>
/// <param name="Kind">Stable name: Fail, SpareActive, RebuildStarted, RebuildFinished, DegradedArray, ReadCorrected, ArrayBroken, ScrubFinished, ResyncStarted, ResyncFinished.</param>
/// <param name="Member">The device concerned, if one is.</param>
/// <param name="Detail">One sentence.</param>
public sealed record ArrayEvent(string Kind, string? Member, string Detail);

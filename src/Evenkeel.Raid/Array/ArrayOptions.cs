namespace Evenkeel.Raid.Array;

/// <summary>How an array is run.</summary>
public sealed record ArrayOptions
{
    /// <summary>Start even where data may be lost: a dirty and degraded RAID 5 or 6.</summary>
    public bool Force { get; init; }

    /// <summary>Hears of every event, on the thread where it happened; must not block.</summary>
    public Action<ArrayEvent> OnEvent { get; init; } = _ => { };

    /// <summary>The clock for timestamps and rate limits.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Resync, rebuild and scrub move at most this many bytes a second of sync space; null = no limit.</summary>
    public long? SyncBytesPerSecond { get; init; }

    /// <summary>A read error that redundancy corrected this often on one member fails the member, as md's default.</summary>
    public int MaximumCorrectedReads { get; init; } = 20;
}

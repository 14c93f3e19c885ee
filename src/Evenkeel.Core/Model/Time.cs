namespace Evenkeel.Core.Model;

/// <summary>
/// A moment on this node's own clocks, both counted in nanoseconds since boot: CLOCK_BOOTTIME (runs on through a suspend)
/// and CLOCK_MONOTONIC_RAW (never slewed). A deadline ends at the first of the two, a wait at the last (safety rule 3).
/// Never compared between nodes.
/// </summary>
public readonly record struct Instant(long BootNanoseconds, long RawNanoseconds)
{
    public static Instant operator +(Instant moment, TimeSpan span) =>
        new(moment.BootNanoseconds + span.Ticks * 100, moment.RawNanoseconds + span.Ticks * 100);
    public Instant Add(TimeSpan span) => this + span;

    /// <summary>True once either clock has reached <paramref name="deadline"/>: for rights that must end in time.</summary>
    public bool IsPastDeadline(Instant deadline) =>
        BootNanoseconds >= deadline.BootNanoseconds || RawNanoseconds >= deadline.RawNanoseconds;

    /// <summary>True once both clocks have reached <paramref name="end"/>: for waits that must be long enough.</summary>
    public bool HasWaitedUntil(Instant end) =>
        BootNanoseconds >= end.BootNanoseconds && RawNanoseconds >= end.RawNanoseconds;

    /// <summary>Time since <paramref name="earlier"/> by the raw clock: for detection and statistics, not for rights.</summary>
    public TimeSpan Since(Instant earlier) => TimeSpan.FromTicks((RawNanoseconds - earlier.RawNanoseconds) / 100);
}

/// <summary>The cluster's timings (architecture.md, safety rules). The file may lengthen all of them for bad networks.</summary>
public sealed record Timings
{
    public static readonly Timings Default = new();
    /// <summary>Time between two beats; 5 ms to 10 s.</summary>
    public TimeSpan Beat { get; set; } = TimeSpan.FromMilliseconds(30);
    /// <summary>L: how long a voter's grant lasts, counted from the moment before the owner asked.</summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromMilliseconds(150);
    /// <summary>Silence after which a peer counts as lost.</summary>
    public TimeSpan Detection { get; set; } = TimeSpan.FromMilliseconds(150);
    /// <summary>The greatest relative difference between two nodes' clock rates; 0.01 = 1 %.</summary>
    public double DriftBound { get; set; } = 0.01;
    /// <summary>The agent's loop has not beaten its guard for this long: VIPs are given up.</summary>
    public TimeSpan LoopStall { get; set; } = TimeSpan.FromMilliseconds(300);
    /// <summary>The agent has been away this long: exclusive services are stopped too.</summary>
    public TimeSpan AgentAbsence { get; set; } = TimeSpan.FromSeconds(5);
}

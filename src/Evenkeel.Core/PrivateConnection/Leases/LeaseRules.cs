namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>
/// The rules of a voter lease that keep two owners apart (architecture.md, safety rules 3 to 5), each of which a test may
/// leave out to prove that the tests would notice. Production code has no way to turn one off: only the default is public.
/// </summary>
internal sealed record LeaseRules
{
    public static readonly LeaseRules All = new();

    /// <summary>A voter that promised an epoch grants no lower one.</summary>
    public bool Promise { get; init; } = true;
    /// <summary>A new owner waits until a majority's grants of lower epochs have run out.</summary>
    public bool Wait { get; init; } = true;
    /// <summary>Promises and grants count only when a majority of the voters gave them.</summary>
    public bool Majority { get; init; } = true;
    /// <summary>A grant runs from the moment before it was asked for, not from its arrival.</summary>
    public bool CountFromAsking { get; init; } = true;
    /// <summary>A release clears only the grant of the epoch that it names, of the node that sends it.</summary>
    public bool ReleaseNamesEpoch { get; init; } = true;
    /// <summary>Rights are shortened and waits lengthened by the drift bound.</summary>
    public bool DriftBound { get; init; } = true;
    /// <summary>A voter that (re)started votes only after a lease's length, and promises no less than the committed epochs.</summary>
    public bool RestartRule { get; init; } = true;
    /// <summary>An epoch whose end has begun here is never acquired again.</summary>
    public bool EndedStaysEnded { get; init; } = true;
    /// <summary>A jump between the node's two clocks (suspend) ends every lease.</summary>
    public bool JumpEndsLease { get; init; } = true;
    /// <summary>Doors close at the deadline, without the agent.</summary>
    public bool CloseAtDeadline { get; init; } = true;
    /// <summary>A confirmed fencing spares the wait for the previous epoch's grant only, not for older ones.</summary>
    public bool FencingNamesEpoch { get; init; } = true;
    /// <summary>VIPs are given up when the agent's loop is silent; exclusive services when it stays away.</summary>
    public bool WatchAgent { get; init; } = true;
    /// <summary>The lease is given back to the voters only once every door is confirmed closed.</summary>
    public bool CloseBeforeRelease { get; init; } = true;
}

using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop;

/// <summary>Stable kinds: logs, metrics and scripts may rely on them. A failover is Detected, Decided, Committed, Acquired, Serving.</summary>
public enum AnnouncementKind
{
    // A failover's steps, in order; the first three by the controller, the last two by the new owner.
    Detected, Decided, Committed, Acquired, Serving,
    /// <summary>What was detected ended before anybody took over.</summary>
    Recovered,
    LeaseEnded, Released,
    ControllerClaimed, ControllerChanged, ControllerDeposed,
    PeerLost, PeerBack,
    NodeModeChanged, Quarantined, QuarantineEnded,
    SpecChanged, IncarnationChanged, FormatRaised,
    /// <summary>StoreWarning: something about this node's part of the store that somebody should mend.</summary>
    StoreLost, StoreBack, StoreWarning,
    GuardConnected, GuardLost, GuardWarning, VotingBegan,
    InstanceStarted, InstanceFailed, InstanceStopped, ActionFailed,
    MoveFulfilled, MoveRefused, Restarted,
    SyncSetChanged,
    FenceAsked, Fenced, FenceFailed, FenceEnded,
    BackupGiven, BackupStarted, BackupDone, BackupFailed,
    Refused,
}

/// <summary>Something worth a line in the events, stamped on the announcing node's clocks.</summary>
/// <param name="Kind">Stable.</param>
/// <param name="Words">For people; may change.</param>
/// <param name="Resource">The exclusive resource concerned.</param>
/// <param name="Node">The node concerned (the one lost, the new owner).</param>
/// <param name="Epoch">The epoch concerned.</param>
/// <param name="At">When the loop knew it, on this node's clocks.</param>
public sealed record Announcement(AnnouncementKind Kind, string Words, ResourceId? Resource, NodeName? Node, Epoch? Epoch, Instant At)
{
    public string? Service { get; init; }
    /// <summary>How long before <see cref="At"/> what it tells of had begun (a node's silence); null where that is not known.</summary>
    public TimeSpan? Ago { get; init; }
}

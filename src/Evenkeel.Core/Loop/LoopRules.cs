namespace Evenkeel.Core.Loop;

/// <summary>
/// The loop's rules that keep a cluster safe and calm (architecture.md, safety rules), each of which a test may leave out
/// to prove that the tests would notice. Production code has no way to turn one off: only the default is public.
/// </summary>
internal sealed record LoopRules
{
    public static readonly LoopRules All = new();

    /// <summary>Rule 1: a decision compares the controller's record; a deposed one changes nothing.</summary>
    public bool CompareController { get; init; } = true;
    /// <summary>Rule 1: every transaction compares the revision of each record that it changes.</summary>
    public bool CompareRecords { get; init; } = true;
    /// <summary>Rule 1: an unknown outcome is resolved before deciding anew.</summary>
    public bool ResolveUnknown { get; init; } = true;
    /// <summary>Rule 1: a node that is heard but does not hear counts as lost.</summary>
    public bool TwoWayLiveness { get; init; } = true;
    /// <summary>Rule 1: an agent claims only when a majority does not hear the controller either.</summary>
    public bool MajorityClaims { get; init; } = true;
    /// <summary>Rule 2: each grant has a new, greater epoch.</summary>
    public bool EpochGrows { get; init; } = true;
    /// <summary>Rule 2: an ownership names the guard's session; a restarted guard owns nothing of its predecessor's.</summary>
    public bool OwnerNamesSession { get; init; } = true;
    /// <summary>Rule 5: the floors are read behind a barrier, not taken from a copy.</summary>
    public bool FloorsBehindBarrier { get; init; } = true;
    /// <summary>Rule 10: an owner whose lease is over says so, and is granted anew.</summary>
    public bool EndedIsTold { get; init; } = true;
    /// <summary>Rule 11: silence counts only while this agent was awake.</summary>
    public bool AwakeClock { get; init; } = true;
    /// <summary>A service stops in order before its lease is given back.</summary>
    public bool StopBeforeRelease { get; init; } = true;
    /// <summary>Of two services that are to stop, the one that depends on the other ends first.</summary>
    public bool StopInReverse { get; init; } = true;
    /// <summary>What does not end with its lease goes to another node only after its owner's node was cut off.</summary>
    public bool FenceBeforeGrant { get; init; } = true;
    /// <summary>An answer of a fence device counts for the asking that it belongs to, no other.</summary>
    public bool FencingIsNumbered { get; init; } = true;
    /// <summary>Rule 8: only a node that surely has every acknowledged write is promoted.</summary>
    public bool PromoteFromSyncSet { get; init; } = true;
    /// <summary>Rules 1 and 8: a promotion compares the sync set's revision.</summary>
    public bool CompareSyncSet { get; init; } = true;
    /// <summary>Rule 8: a new owner is alone in the sync set before its first write.</summary>
    public bool OwnSyncSetFirst { get; init; } = true;
    /// <summary>Rule 8: 'X is out of sync' is committed before a write that X lacks is acknowledged.</summary>
    public bool NarrowBeforeAcknowledging { get; init; } = true;
    /// <summary>Rule 8: a member that commits are seen not to wait for, whoever changed that, leaves the sync set.</summary>
    public bool NarrowUnawaited { get; init; } = true;
    /// <summary>Rule 8: a node joins the sync set when it has everything, not when it follows.</summary>
    public bool WidenWhenCaughtUp { get; init; } = true;
    /// <summary>Rule 8: a node joins the sync set only when no earlier order, which may wait for fewer, is still under way.</summary>
    public bool WidenAfterOrders { get; init; } = true;
    /// <summary>Rule 8: a volume's writer hears whom it must wait for before its first write.</summary>
    public bool OrderBeforePromotion { get; init; } = true;
    /// <summary>Rule 10: while nobody owns a volume, its last owner puts lost legs out, without which its service could not end.</summary>
    public bool NarrowWhileLeaving { get; init; } = true;
    /// <summary>Rule 8: with ANY k of n standbys, n - k + 1 must be asked, and the furthest of them is promoted.</summary>
    public bool AskEnough { get; init; } = true;
    /// <summary>Rule 8: a position counts only of a standby that surely follows the former owner no more.</summary>
    public bool AskTheDetached { get; init; } = true;
    /// <summary>Rule 1: a restarted agent writes the sync set anew first, so that nothing of its former life changes it later.</summary>
    public bool RewriteSyncSet { get; init; } = true;
    /// <summary>A lost node's backup job goes to another one only when the lost one has surely ended it.</summary>
    public bool BackupOutlivesSilence { get; init; } = true;
}

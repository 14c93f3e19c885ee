using Evenkeel.Core.Loop;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Simulation;

/// <summary>A planted bug: one rule left out, in every node of the run.</summary>
internal sealed record Bug(string Name, LoopRules Loop, LeaseRules Lease)
{
    /// <summary>The restore procedure forgets to begin a new incarnation (safety rule 2).</summary>
    public bool RestoresWithoutIncarnation { get; init; }

    /// <summary>A controller that chose its own node asks for the lease at once (safety rule 2).</summary>
    public bool ActsBeforeCommit { get; init; }

    /// <summary>Legs take whoever comes (safety rule 7).</summary>
    public bool LegsForget { get; init; }

    /// <summary>Legs take what their writer's earlier connections had sent (safety rule 7).</summary>
    public bool LegsTakeOldConnections { get; init; }

    /// <summary>As <see cref="Seeds"/>, of clusters with a volume.</summary>
    public int VolumeSeeds { get; init; }

    public static readonly Bug None = new("none", LoopRules.All, LeaseRules.All);

    /// <summary>No bug: the database's commits wait for a quorum of its standbys, instead of for named ones.</summary>
    public bool Quorum { get; init; }

    /// <summary>
    /// CI plants it and must find it within so many seeds. Zero: a second rule hides it so far (the guard refuses what the
    /// loop got wrong, or the other way round), or the faults that would show it are too rare; to be had with `seeds`.
    /// </summary>
    public int Seeds { get; init; }

    public override string ToString() => Name;

    public static readonly IReadOnlyList<Bug> All =
    [
        OfLease("no-promise", LeaseRules.All with { Promise = false }) with { Seeds = 120 },
        OfLease("no-wait", LeaseRules.All with { Wait = false }) with { Seeds = 120 },
        OfLease("no-majority", LeaseRules.All with { Majority = false }) with { Seeds = 120 },
        OfLease("count-from-reply", LeaseRules.All with { CountFromAsking = false }),
        OfLease("release-without-epoch", LeaseRules.All with { ReleaseNamesEpoch = false }),
        OfLease("no-drift-bound", LeaseRules.All with { DriftBound = false }),
        OfLease("amnesia", LeaseRules.All with { RestartRule = false }),
        OfLease("ended-comes-back", LeaseRules.All with { EndedStaysEnded = false }),
        OfLease("door-outlives-lease", LeaseRules.All with { CloseAtDeadline = false }),
        OfLease("release-before-close", LeaseRules.All with { CloseBeforeRelease = false }) with { Seeds = 1500 },
        OfLease("agent-unwatched", LeaseRules.All with { WatchAgent = false }),
        OfLease("jump-ignored", LeaseRules.All with { JumpEndsLease = false }),
        OfLoop("controller-not-compared", LoopRules.All with { CompareController = false }) with { Seeds = 120 },
        OfLoop("records-not-compared", LoopRules.All with { CompareRecords = false }) with { Seeds = 120 },
        OfLoop("unknown-taken-as-failed", LoopRules.All with { ResolveUnknown = false }) with { Seeds = 120 },
        OfLoop("one-way-liveness", LoopRules.All with { TwoWayLiveness = false }),
        OfLoop("lone-claims", LoopRules.All with { MajorityClaims = false }),
        OfLoop("epoch-reused", LoopRules.All with { EpochGrows = false }) with { Seeds = 120 },
        OfLoop("session-ignored", LoopRules.All with { OwnerNamesSession = false }) with { Seeds = 200 },
        None with { Name = "acts-before-commit", Seeds = 120, ActsBeforeCommit = true },
        OfLoop("floors-from-copy", LoopRules.All with { FloorsBehindBarrier = false }),
        OfLoop("end-not-told", LoopRules.All with { EndedIsTold = false }),
        OfLoop("killed-instead-of-stopped", LoopRules.All with { StopBeforeRelease = false }),
        OfLoop("granted-before-fenced", LoopRules.All with { FenceBeforeGrant = false }) with { Seeds = 40 },
        OfLoop("any-fencing-counts", LoopRules.All with { FencingIsNumbered = false }),
        OfLoop("any-copy-promoted", LoopRules.All with { PromoteFromSyncSet = false }) with { Seeds = 40 },
        OfLoop("sync-set-not-compared", LoopRules.All with { CompareSyncSet = false }),
        OfLoop("promoted-before-alone", LoopRules.All with { OwnSyncSetFirst = false }) with { Seeds = 250 },
        OfLoop("widened-under-an-order", LoopRules.All with { WidenAfterOrders = false, NarrowUnawaited = false }),
        OfLoop("acknowledged-before-narrowed", LoopRules.All with { NarrowBeforeAcknowledging = false, NarrowUnawaited = false }) with { Seeds = 300 },
        OfLoop("in-sync-by-following", LoopRules.All with { WidenWhenCaughtUp = false, NarrowUnawaited = false }) with { Seeds = 120 },
        OfLoop("sync-set-not-rewritten", LoopRules.All with { RewriteSyncSet = false, NarrowUnawaited = false }),
        None with { Name = "legs-forget-the-epoch", VolumeSeeds = 300, LegsForget = true },
        None with { Name = "legs-take-old-connections", VolumeSeeds = 300, LegsTakeOldConnections = true },
        OfLoop("promoted-before-ordered", LoopRules.All with { OrderBeforePromotion = false }) with { VolumeSeeds = 200 },
        OfLoop("frozen-while-leaving", LoopRules.All with { NarrowWhileLeaving = false }),
        OfLoop("too-few-asked", LoopRules.All with { AskEnough = false }) with { Quorum = true, Seeds = 200 },
        OfLoop("asked-while-following", LoopRules.All with { AskTheDetached = false }) with { Quorum = true },
        OfLoop("quorum-by-following", LoopRules.All with { WidenWhenCaughtUp = false, NarrowUnawaited = false }) with { Quorum = true },
        OfLoop("any-copy-of-a-quorum", LoopRules.All with { PromoteFromSyncSet = false }) with { Quorum = true, Seeds = 40 },
        OfLoop("backup-given-at-once", LoopRules.All with { BackupOutlivesSilence = false }) with { Seeds = 120 },
        None with { Name = "restore-without-incarnation", Seeds = 400, RestoresWithoutIncarnation = true },
    ];

    public static Bug Named(string name) =>
        name == "none" ? None : All.FirstOrDefault(bug => bug.Name == name)
            ?? throw new ArgumentException($"No such bug: '{name}'. There are: {string.Join(", ", All.Select(bug => bug.Name))}.");

    private static Bug OfLease(string name, LeaseRules rules) => new(name, LoopRules.All, rules);
    private static Bug OfLoop(string name, LoopRules rules) => new(name, rules, LeaseRules.All);
}

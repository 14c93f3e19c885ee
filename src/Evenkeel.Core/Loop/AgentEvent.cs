using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.Loop;

/// <summary>What reaches an agent's loop. The host posts events one at a time, in the order in which they happened.</summary>
public abstract record AgentEvent;

/// <summary>Time passes: about every 10 ms. Everything periodic hangs on it.</summary>
public sealed record Tick : AgentEvent
{
    public static readonly Tick Instance = new();
}

/// <summary>A peer's beat, decoded; <paramref name="From"/> is the authenticated sender.</summary>
public sealed record BeatReceived(NodeName From, Beat Beat) : AgentEvent;

/// <summary>A linearizable reading of the cluster's whole prefix: at the start, after a compaction, and after <see cref="StoreLost"/>.</summary>
public sealed record StoreRead(StoreSnapshot Snapshot) : AgentEvent;

/// <summary>The watch went on; each batch once, in order.</summary>
public sealed record StoreChanged(WatchBatch Batch) : AgentEvent;

/// <summary>The watch broke, or the store has no quorum. The host reconnects by itself and posts <see cref="StoreRead"/> when it can read again.</summary>
public sealed record StoreLost(string Reason) : AgentEvent;

/// <summary>The answer to a <see cref="Commit"/>.</summary>
public sealed record CommitCompleted(Guid RequestId, CommitResult Result) : AgentEvent;

public sealed record GuardReceived(GuardMessage Message) : AgentEvent;

/// <summary>The pipe to the guard broke; the guard may be gone.</summary>
public sealed record GuardBroken(string Reason) : AgentEvent;

/// <summary>
/// The answer to <see cref="ReadFloors"/>: the snapshot was read after the barrier transaction committed at
/// <paramref name="BarrierRevision"/>; null with a reason when that failed.
/// </summary>
public sealed record FloorsRead(GuardSession Session, long BarrierRevision, StoreSnapshot? Snapshot, string? Failure = null) : AgentEvent;

/// <summary>What a driver observes of an instance on this node (at the start: of everything that still runs).</summary>
public sealed record InstanceChanged(InstanceFacts Facts) : AgentEvent;

public sealed record ActionCompleted(long ActionId, ActionResult Result) : AgentEvent;

/// <summary>The answer to a <see cref="FenceNode"/>.</summary>
/// <param name="Confirmed">A device has said, when asked after it had acted, that the node is off.</param>
public sealed record FenceCompleted(NodeName Node, long Number, bool Confirmed, string Reason) : AgentEvent;

/// <summary>Nothing is under way through a door any more (answer to <see cref="QuietDoor"/>).</summary>
public sealed record DoorQuiet(ResourceId Resource, Epoch Epoch) : AgentEvent;

/// <summary>The listeners of a door are closed (answer to <see cref="CloseDoor"/>).</summary>
public sealed record DoorClosed(ResourceId Resource, Epoch Epoch) : AgentEvent;

/// <summary>The agent ends soon, and another takes its place: virtual IPs are to go elsewhere first.</summary>
public sealed record RestartAnnounced : AgentEvent;

/// <param name="Concerns">All that there are now; none any more when empty.</param>
public sealed record ConcernsChanged(IReadOnlyList<NodeConcern> Concerns) : AgentEvent;

/// <param name="PublicUp">Carrier and address of the public interface are there.</param>
/// <param name="LoadPerCore">Run queue length over cores.</param>
/// <param name="ListenersReady">The balancer's listeners are bound, or it is known which cannot be, so that a VIP may arrive.</param>
/// <param name="WallClock">Seconds since 1970 (UTC) as this node believes. Decides nothing; people are told when nodes disagree.</param>
public sealed record NodeConditionChanged(bool PublicUp, double LoadPerCore, bool ListenersReady, long WallClock) : AgentEvent
{
    /// <summary><see cref="NodeFacts.Finishing"/>.</summary>
    public IReadOnlyList<Carried> Finishing { get; init; } = [];

    /// <summary><see cref="NodeFacts.Shut"/>.</summary>
    public IReadOnlyList<ShutDoor> Shut { get; init; } = [];

    /// <summary>Equal in everything, lists by their elements.</summary>
    public bool SaysTheSameAs(NodeConditionChanged? other) => other is not null && this with { Finishing = other.Finishing, Shut = other.Shut } == other
        && Finishing.SequenceEqual(other.Finishing) && Shut.SequenceEqual(other.Shut);
}

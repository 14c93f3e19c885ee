using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Core.Loop;

/// <summary>
/// What the loop wants done. The host carries effects out in order where they go to the same place (guard, store, one
/// instance), concurrently otherwise, and posts outcomes back as events.
/// </summary>
public abstract record Effect;

public sealed record SendBeat(NodeName To, Beat Beat) : Effect;

/// <summary>Answered by exactly one <see cref="CommitCompleted"/>; a host that gives up waiting answers <see cref="CommitOutcome.Indeterminate"/>.</summary>
public sealed record Commit(Transaction Transaction) : Effect;

/// <summary>
/// Safety rule 5: commit <paramref name="Barrier"/> (a transaction, because a plain linearizable read could be stale), then
/// read the prefix, then answer <see cref="FloorsRead"/>. Only a reading at or after the barrier's revision counts.
/// </summary>
public sealed record ReadFloors(GuardSession Session, Transaction Barrier) : Effect;

/// <summary>Read the whole prefix again and post <see cref="StoreRead"/>: the copy seems to be stuck.</summary>
public sealed record RereadStore(string Reason) : Effect;

/// <summary>The committed state is of a later <see cref="StateFormat"/> than this program reads: it decides nothing, and is to end. Once.</summary>
public sealed record StateTooNew(int Format) : Effect;

/// <summary>Send the guard a <see cref="Configure"/> made of this spec, with the ports and keys that only the host knows.</summary>
public sealed record ConfigureGuard(ClusterSpec Spec) : Effect;

public sealed record ToGuard(AgentMessage Message) : Effect;

/// <summary>The lease is held: accept clients at the door's listeners.</summary>
public sealed record OpenDoor(ResourceId Resource, Epoch Epoch, ListenerEnforcement Listener) : Effect;

/// <summary>Close the listeners and cancel what runs through them, then post <see cref="DoorClosed"/>; late answers end with the agent killed.</summary>
public sealed record CloseDoor(ResourceId Resource, Epoch Epoch, TimeSpan Within) : Effect;

/// <summary>
/// The virtual IP is about to move: take no new connections at its listeners (clients' kernels ask again, RFC 6298), let what is
/// under way end, then post <see cref="DoorQuiet"/>. After <paramref name="Within"/> it moves all the same.
/// </summary>
public sealed record QuietDoor(ResourceId Resource, Epoch Epoch, TimeSpan Within) : Effect;

/// <summary>The move is done: listeners that stay bound take connections again, for when the address comes back.</summary>
public sealed record ReopenDoor(ResourceId Resource) : Effect
{
    /// <summary>The address is not here any more: connections by it are told that they have ended.</summary>
    public bool Lost { get; init; }
}

/// <summary>An action on a driver; answered by exactly one <see cref="ActionCompleted"/>.</summary>
public abstract record InstanceAction(long ActionId, string Service) : Effect;

public sealed record StartInstance(long ActionId, InstanceOrder Order) : InstanceAction(ActionId, Order.Spec.Name);
/// <summary>Say what data lies here while nothing runs.</summary>
public sealed record LookAtData(long ActionId, InstanceOrder Order) : InstanceAction(ActionId, Order.Spec.Name);
public sealed record StopInstance(long ActionId, string Service) : InstanceAction(ActionId, Service);
public sealed record PromoteInstance(long ActionId, string Service, Epoch Epoch) : InstanceAction(ActionId, Service);
public sealed record DemoteInstance(long ActionId, string Service) : InstanceAction(ActionId, Service);

/// <summary>
/// Cut the node off by its fence devices, then ask them whether it is; answered by exactly one <see cref="FenceCompleted"/>,
/// within the devices' own time limits.
/// </summary>
public sealed record FenceNode(NodeName Node, long Number, FenceSpec Device) : Effect;

/// <summary>The table differs from the one published before; its version is greater.</summary>
public sealed record PublishRoutes(RouteTable Table) : Effect;

/// <summary>For logs, events, metrics and the evidence of failovers.</summary>
public sealed record Announce(Announcement Announcement) : Effect;

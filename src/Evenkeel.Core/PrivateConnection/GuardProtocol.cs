using System.Text.Json.Serialization;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection;

// What an agent and its guard say to each other over their local socket: messages framed by a 32-bit little-endian length,
// UTF-8 JSON inside (at most 1 MiB). Plain data, so that the simulator carries the same messages.

/// <summary>A guard of the cluster and where its datagrams go, one address a private link.</summary>
public sealed record GuardPeer(NodeName Node, IReadOnlyList<string> Addresses, int Port, bool Votes);

/// <summary>What holds an exclusive resource's door: opened while the lease runs, closed at its deadline without the agent.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(VipEnforcement), "vip")]
[JsonDerivedType(typeof(ListenerEnforcement), "listener")]
[JsonDerivedType(typeof(CgroupEnforcement), "cgroup")]
public abstract record Enforcement;

/// <summary>A virtual IP: added to the interface, announced, fenced by an nftables element and a short <c>valid_lft</c> where permitted.</summary>
public sealed record VipEnforcement(string Address, int PrefixLength, string Interface) : Enforcement;

/// <summary>
/// Without privileges (loopback clusters): the VIP is a listener of the agent's. The agent opens it when told that the lease
/// is held and confirms each close; if it has not confirmed by the deadline, the guard kills the agent.
/// </summary>
public sealed record ListenerEnforcement(string Address, IReadOnlyList<int> Ports) : Enforcement;

/// <summary>The processes of a single-active service: killed at the deadline (cgroup.kill where there is one, else its process group).</summary>
public sealed record CgroupEnforcement(string Instance) : Enforcement;

/// <summary>A process for the guard to start as its child, inside its own cgroup, with a parent-death signal.</summary>
public sealed record LaunchRequest
{
    /// <summary>Unique on the node; the service's name.</summary>
    public required string Instance { get; init; }
    /// <summary>Whose instance it is: a driver adopts and sweeps its own alone. The word in the spec: <c>process</c>, <c>ocf</c>.</summary>
    public string Driver { get; set; } = "process";
    /// <summary>For exclusive services: starts only while this lease is held, and dies with it.</summary>
    public HeldLease? Lease { get; init; }
    public required IReadOnlyList<string> Command { get; init; }
    public IReadOnlyDictionary<string, string> Environment { get; set; } = new Dictionary<string, string>();
    public string? WorkingDirectory { get; init; }
    public string? User { get; init; }
    /// <summary>Standard output and error are appended here.</summary>
    public required string LogFile { get; init; }

    /// <summary>The same work under the same right: a process started from the one serves the other.</summary>
    public bool SameAs(LaunchRequest other) =>
        Instance == other.Instance && Driver == other.Driver && Command.SequenceEqual(other.Command) && WorkingDirectory == other.WorkingDirectory && User == other.User
        && Equals(Lease, other.Lease)
        && Environment.OrderBy(pair => pair.Key, StringComparer.Ordinal).SequenceEqual(other.Environment.OrderBy(pair => pair.Key, StringComparer.Ordinal));
}

public sealed record RunningInstance(string Instance, int ProcessId, HeldLease? Lease, LaunchRequest Request);

/// <summary>From the agent to its guard.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Configure), "configure")]
[JsonDerivedType(typeof(LoopBeat), "loop-beat")]
[JsonDerivedType(typeof(CommittedFloors), "floors")]
[JsonDerivedType(typeof(Acquire), "acquire")]
[JsonDerivedType(typeof(Release), "release")]
[JsonDerivedType(typeof(ListenerClosed), "listener-closed")]
[JsonDerivedType(typeof(Launch), "launch")]
[JsonDerivedType(typeof(Signal), "signal")]
[JsonDerivedType(typeof(Shutdown), "shutdown")]
public abstract record AgentMessage;

/// <summary>First message, and again whenever membership, timings or keys change.</summary>
/// <param name="Keys">Datagram keys by number (32 bytes each, base64 in JSON); all open.</param>
public sealed record Configure(
    string Cluster, NodeName Self, IReadOnlyList<GuardPeer> Guards, Timings Timings, IReadOnlyDictionary<int, byte[]> Keys) : AgentMessage
{
    /// <summary>The key that seals; null: the highest. When it is said, <see cref="Configured"/> is the answer (an agent that does not know that message says nothing).</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? SealingKey { get; init; }
}

/// <summary>The agent's loop makes progress. Missing for <see cref="Timings.LoopStall"/>: VIPs are given up.</summary>
public sealed record LoopBeat(long Sequence) : AgentMessage;

/// <summary>
/// The committed epochs, read through a store transaction after the guard's session began (safety rule 5): the guard votes
/// only once it has these and L has passed since its start, and promises no less than them.
/// </summary>
public sealed record CommittedFloors(IReadOnlyDictionary<string, Epoch> Epochs, int Incarnation) : AgentMessage;

/// <summary>Ownership of (resource, epoch) is committed to this node and session: get the voters' promises and grants, then open the door.</summary>
/// <param name="PreviousFenced">A fence agent has confirmed the previous owner off: voters need not wait for its grants.</param>
public sealed record Acquire(ResourceId Resource, Epoch Epoch, IReadOnlyList<Enforcement> Doors, bool PreviousFenced = false) : AgentMessage;

/// <summary>Close the door now, then tell the voters (with the epoch) that the lease is given back. Never acquired again under this epoch.</summary>
public sealed record Release(ResourceId Resource, Epoch Epoch) : AgentMessage;

/// <summary>The agent's listeners for this lease are closed (see <see cref="ListenerEnforcement"/>).</summary>
public sealed record ListenerClosed(ResourceId Resource, Epoch Epoch) : AgentMessage;

public sealed record Launch(LaunchRequest Request) : AgentMessage;

/// <summary>Sends a signal to the instance's main process, or kills its whole tree (<paramref name="Tree"/>).</summary>
public sealed record Signal(string Instance, int Number, bool Tree) : AgentMessage;

/// <summary>Release everything, stop every instance, exit.</summary>
public sealed record Shutdown : AgentMessage;

public enum LeasePhase
{
    /// <summary>Asking voters for promises, or waiting until older grants have run out.</summary>
    Acquiring,
    /// <summary>A majority's grants run; the door is open.</summary>
    Held,
    /// <summary>The door is closed and this epoch never comes back.</summary>
    Ended,
}

/// <summary>From the guard to its agent.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(GuardHello), "hello")]
[JsonDerivedType(typeof(LeaseChanged), "lease")]
[JsonDerivedType(typeof(CloseListener), "close-listener")]
[JsonDerivedType(typeof(GuardBeat), "beat")]
[JsonDerivedType(typeof(ListenerLease), "listener-lease")]
[JsonDerivedType(typeof(Launched), "launched")]
[JsonDerivedType(typeof(Exited), "exited")]
[JsonDerivedType(typeof(GuardWarning), "warning")]
[JsonDerivedType(typeof(Configured), "configured")]
public abstract record GuardMessage;

/// <summary>First message on a connection: who I am, what this machine permits, what I still hold and run from before.</summary>
/// <param name="Missing">Protections that are not permitted here, in words for <c>status</c>; empty is best.</param>
public sealed record GuardHello(
    GuardSession Session, int ProcessId, IReadOnlyList<string> Missing,
    IReadOnlyList<HeldLease> Held, IReadOnlyList<RunningInstance> Instances) : GuardMessage;

/// <param name="Steps">When it becomes held for the first time: how it came to that. Null in every other message.</param>
public sealed record LeaseChanged(ResourceId Resource, Epoch Epoch, LeasePhase Phase, string Reason, LeaseSteps? Steps = null) : GuardMessage;

/// <summary>A lease's way from the agent's wish to the open door, on this machine's clocks; each step begins where the one before ends.</summary>
/// <param name="Asked">The guard got the agent's wish.</param>
/// <param name="Promised">A majority of the voters had promised to grant no lower epoch.</param>
/// <param name="Waited">The grants of lower epochs had run out, or been given back.</param>
/// <param name="Granted">A majority had granted it.</param>
/// <param name="Opened">The doors were open: the address is up and announced.</param>
public sealed record LeaseSteps(Instant Asked, Instant Promised, Instant Waited, Instant Granted, Instant Opened);

/// <summary>
/// The answer to each <see cref="LoopBeat"/>: the guard makes progress. A guard that is silent for a lease's length has renewed
/// nothing meanwhile, so its agent says that its leases are over (else a frozen guard's resources had no owner for as long
/// as it is frozen, safety rule 10).
/// </summary>
public sealed record GuardBeat(long Sequence) : GuardMessage;

/// <summary>The lease is ending: close the listeners within <paramref name="Within"/> and confirm, or be killed.</summary>
public sealed record CloseListener(ResourceId Resource, Epoch Epoch, TimeSpan Within) : GuardMessage;

/// <summary>
/// The agent may keep its listeners of this lease open until <paramref name="Until"/> (this machine's clocks), each message
/// extending the last. The link arms a kernel timer with it, which ends the agent should it and its guard both be frozen.
/// </summary>
public sealed record ListenerLease(ResourceId Resource, Epoch Epoch, Instant Until) : GuardMessage;

/// <param name="ProcessId">Zero when it could not be started.</param>
public sealed record Launched(string Instance, int ProcessId, string? Error) : GuardMessage;

/// <summary>The instance's processes have ended, all of them.</summary>
/// <param name="ExitCode">Of the main one; 128 + signal number when a signal ended it.</param>
/// <param name="Left">Not all: others were killed with the main one and are still there (an uninterruptible wait). Said again without it once they have ended.</param>
public sealed record Exited(string Instance, int ProcessId, int ExitCode, bool Left = false) : GuardMessage;

public sealed record GuardWarning(string Text) : GuardMessage;

/// <summary>Which keys the guard opens and seals datagrams with from now on.</summary>
public sealed record Configured(IReadOnlyList<int> Keys, int SealingKey) : GuardMessage;

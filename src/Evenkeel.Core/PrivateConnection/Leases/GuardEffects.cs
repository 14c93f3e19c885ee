using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>What a guard does. Carried out at once, in order, by the loop that called <see cref="GuardCore.Step"/>.</summary>
public abstract record GuardEffect;

public sealed record SendDatagram(NodeName To, GuardDatagram Datagram) : GuardEffect;

/// <summary>Dropped when no agent is connected.</summary>
public sealed record ToAgent(GuardMessage Message) : GuardEffect;

/// <summary>
/// Open until <paramref name="Until"/>, which the kernel enforces where it can; to be checked against a fresh clock, since the
/// guard may have been paused between decision and deed. Answered by a <see cref="DoorResult"/>.
/// </summary>
public sealed record OpenDoor(ResourceId Resource, Epoch Epoch, Enforcement Door, Instant Until) : GuardEffect;

/// <summary>The kernel may let through until <paramref name="Until"/> now. Answered by a <see cref="DoorResult"/> only on error.</summary>
public sealed record RenewDoor(ResourceId Resource, Epoch Epoch, Enforcement Door, Instant Until) : GuardEffect;

/// <summary>Close at once; idempotent, repeated until a <see cref="DoorResult"/> says that it is done.</summary>
public sealed record CloseDoor(ResourceId Resource, Epoch Epoch, Enforcement Door) : GuardEffect;

/// <summary>Answered by a <see cref="LaunchResult"/>, later by an <see cref="InstanceExited"/>.</summary>
public sealed record LaunchInstance(LaunchRequest Request) : GuardEffect;

public sealed record SignalInstance(string Instance, int Number, bool Tree) : GuardEffect;

/// <summary>SIGKILL to the agent that may still hold a listener; repeated until <see cref="AgentExited"/>.</summary>
public sealed record KillAgent(int ProcessId, string Reason) : GuardEffect;

/// <summary>Everything is released and stopped; the process may end.</summary>
public sealed record ExitGuard : GuardEffect;

using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>What happens to a guard.</summary>
public abstract record GuardEvent;

/// <summary>Time passed. Due at the latest at <see cref="GuardCore.NextWake"/>.</summary>
public sealed record Tick : GuardEvent
{
    public static readonly Tick Instance = new();
}

/// <summary>An agent connected; it replaces any other.</summary>
public sealed record AgentConnected(int ProcessId) : GuardEvent;

/// <summary>The pipe to the agent broke. Says nothing about its process.</summary>
public sealed record AgentDisconnected : GuardEvent;

/// <summary>The agent's process is surely gone, and its listeners with it.</summary>
public sealed record AgentExited(int ProcessId) : GuardEvent;

public sealed record FromAgent(AgentMessage Message) : GuardEvent;

/// <summary>An authenticated datagram of the guard on <paramref name="From"/>. Its time is read after its arrival.</summary>
public sealed record DatagramReceived(NodeName From, GuardDatagram Datagram) : GuardEvent;

public enum DoorMove { Opened, Renewed, Closed }

/// <summary>Outcome of <see cref="OpenDoor"/>, <see cref="RenewDoor"/> or <see cref="CloseDoor"/>.</summary>
/// <param name="Error">Null when done.</param>
public sealed record DoorResult(ResourceId Resource, Epoch Epoch, Enforcement Door, DoorMove Move, string? Error) : GuardEvent;

/// <summary>Outcome of <see cref="LaunchInstance"/>.</summary>
/// <param name="ProcessId">Zero when it could not be started.</param>
public sealed record LaunchResult(LaunchRequest Request, int ProcessId, string? Error) : GuardEvent;

/// <param name="ExitCode">128 + signal number when a signal ended it.</param>
/// <param name="Left">Its main process alone: what that left behind was killed, but has not ended.</param>
public sealed record InstanceExited(string Instance, int ProcessId, int ExitCode, bool Left = false) : GuardEvent;

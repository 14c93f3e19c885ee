using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>
/// A lease of this node and its doors. The doors open after the lease is held and are closed before its deadline; only when
/// every one of them is known to be closed is the lease given back to the voters.
/// </summary>
internal sealed class LeaseTerm(LeaseHolder holder, IReadOnlyList<Enforcement> doors)
{
    public enum DoorState { Shut, Opening, Open, Closing, Closed }

    private readonly DoorState[] _states = new DoorState[doors.Count];

    public LeaseHolder Holder { get; } = holder;
    public IReadOnlyList<Enforcement> Doors { get; } = doors;
    public HeldLease Name { get; } = new(holder.Resource, holder.Epoch);

    /// <summary>The agent was told that the lease is held (and may have opened its listeners).</summary>
    public bool Announced { get; set; }
    /// <summary>The process that holds the listeners; zero when none does.</summary>
    public int ListenerProcess { get; set; }
    /// <summary>Since when the agent that acquired it is gone; null while one stands behind it.</summary>
    public Instant? OrphanedAt { get; set; }
    /// <summary>When it came to each step, for who wants to know how long a takeover takes.</summary>
    public Instant AskedAt { get; init; }
    public Instant? PromisedAt { get; set; }
    public Instant? WaitedAt { get; set; }
    public Instant? GrantedAt { get; set; }
    /// <summary>What the kernel was last told.</summary>
    public Instant? RenewedUntil { get; set; }
    /// <summary>Why it ends; null while it does not.</summary>
    public string? EndReason { get; set; }
    /// <summary>The deadline that it had when its end began.</summary>
    public Instant? LastDeadline { get; set; }
    /// <summary>When the agent is killed unless its listeners are confirmed closed.</summary>
    public Instant? KillAt { get; set; }
    /// <summary>When to insist again on what is not yet closed.</summary>
    public Instant InsistAt { get; set; }

    /// <summary>Something was opened under it, or is being opened.</summary>
    public bool MayBeOpen => Announced || !AllDoors(DoorState.Shut);
    public bool IsEnding => EndReason is not null;

    /// <summary>Serves clients directly: given up as soon as the agent's loop is silent. Others outlast an agent's restart.</summary>
    public bool ServesClients { get; } =
        doors.Any(door => door is VipEnforcement or ListenerEnforcement) || holder.Resource.Value.StartsWith("vip/", StringComparison.Ordinal);

    public bool HasListener { get; } = doors.Any(door => door is ListenerEnforcement);

    public DoorState this[int door]
    {
        get => _states[door];
        set => _states[door] = value;
    }

    public int IndexOf(Enforcement door)
    {
        for (var i = 0; i < Doors.Count; i++)
            if (Doors[i].Equals(door)) return i;
        return -1;
    }

    public bool AllDoors(DoorState state)
    {
        foreach (var one in _states)
            if (one != state) return false;
        return true;
    }

    /// <summary>
    /// When the doors are to be closed: before the deadline by what closing takes. A listener is closed by another process,
    /// which may first have to be killed, so it gets a third of the lease.
    /// </summary>
    public Instant? CloseBy(Timings timings) =>
        Holder.Deadline is { } deadline ? deadline + -(HasListener ? timings.Lease / 3 : timings.Lease / 10) : null;
}

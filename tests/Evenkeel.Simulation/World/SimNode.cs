using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Simulation.World;

/// <summary>A server: its clocks, its kernel (doors with their time limits, processes), its agent and its guard.</summary>
public sealed class SimNode
{
    private readonly SimCluster cluster;
    private readonly SortedDictionary<string, SimInstance> instances = new(StringComparer.Ordinal);
    private readonly Dictionary<(HeldLease Lease, Enforcement Door), Instant> doors = [];
    private int lastProcessId = 100;

    internal SimNode(SimCluster cluster, NodeName name, NodeClock clock)
    {
        (this.cluster, Name, Clock) = (cluster, name, clock);
        Leg = new SimLeg(!cluster.Bug.LegsForget, !cluster.Bug.LegsTakeOldConnections);
        Agent = new SimAgent(cluster, this);
        Guard = new SimGuard(cluster, this);
    }

    public NodeName Name { get; }
    public NodeClock Clock { get; }
    internal SimAgent Agent { get; }
    internal SimGuard Guard { get; }
    public bool Powered { get; private set; }
    /// <summary>The whole machine stands still (suspend).</summary>
    public bool Asleep { get; private set; }
    public bool PublicUp { get; private set; } = true;
    public IReadOnlyDictionary<string, SimInstance> Running => instances;
    /// <summary>On its disk: what survives a power failure.</summary>
    internal SimData Data { get; } = new();
    internal SimUnit Unit => Agent.Unit;
    internal SimLeg Leg { get; }

    public int NewProcessId() => ++lastProcessId;

    public void PowerOn()
    {
        if (Powered) return;
        Powered = true;
        Guard.Start();
        Agent.Start();
    }

    public void PowerOff()
    {
        Powered = false;
        Asleep = false;
        Agent.Crash(restart: false);
        Guard.Crash(restart: false);
        doors.Clear();
        instances.Clear();
        Unit.LosePower();
        cluster.DoorsMoved = true;
    }

    public void Sleep()
    {
        if (Asleep || !Powered) return;
        Asleep = true;
        Agent.Process.Stop();
        Guard.Process.Stop();
    }

    public void Wake(long slept)
    {
        if (!Asleep) return;
        Asleep = false;
        Clock.Slept(slept);
        // The guard has real-time priority: it is the first to run.
        Guard.Process.Continue();
        Guard.TickNow();
        Agent.Process.Continue();
        cluster.DoorsMoved = true;
    }

    public void SetPublic(bool up)
    {
        PublicUp = up;
        Agent.TellConditions();
    }

    // The kernel's doors: a time limit each, kept even when guard and agent are frozen or gone.

    public string? OpenDoor(HeldLease lease, Enforcement door, Instant until)
    {
        if (Clock.Now.IsPastDeadline(until)) return "too late";
        doors[(lease, door)] = until;
        cluster.DoorsMoved = true;
        return null;
    }

    public string? RenewDoor(HeldLease lease, Enforcement door, Instant until)
    {
        if (!doors.ContainsKey((lease, door))) return "it is not open";
        return OpenDoor(lease, door, until);
    }

    public void CloseDoor(HeldLease lease, Enforcement door) => doors.Remove((lease, door));

    /// <summary>A guard that starts closes what an earlier one left.</summary>
    public void SweepDoors() => doors.Clear();

    public int Launch(LaunchRequest request)
    {
        var process = NewProcessId();
        instances[request.Instance] = new SimInstance(request.Instance, process, request.Lease);
        cluster.DoorsMoved = true;
        return process;
    }

    public bool Kill(string instance, int? process = null)
    {
        if (!instances.TryGetValue(instance, out var running) || (process is { } only && running.ProcessId != only)) return false;
        instances.Remove(instance);
        Guard.InstanceGone(instance, running.ProcessId);
        return true;
    }

    /// <summary>The guard died, and its children with it (parent-death signal).</summary>
    public void KillChildren()
    {
        foreach (var instance in instances.Keys.ToList()) instances.Remove(instance);
    }

    /// <summary>The epochs under which this node acts on the resource, for an outside observer.</summary>
    public IEnumerable<Epoch> ActsOn(ResourceId resource)
    {
        if (!Powered || Asleep) yield break;
        foreach (var ((lease, door), until) in doors)
        {
            if (lease.Resource != resource || Clock.Now.IsPastDeadline(until)) continue;
            if (door is VipEnforcement) yield return lease.Epoch;
            // A service acts while its process runs and the door lets its traffic through.
            else if (door is CgroupEnforcement && instances.TryGetValue(resource.Instance, out var running) && (running.Lease ?? running.Promoted) is { } under && under == lease)
                yield return lease.Epoch;
        }
        if (resource == ResourceId.Service(SimUnit.Service) && Unit.Runs is { } unit) yield return unit.Epoch;
        foreach (var listener in Agent.Listeners)
            if (listener.Resource == resource) yield return listener.Epoch;
    }
}

/// <summary>A service's process, a child of the guard.</summary>
public sealed class SimInstance(string name, int processId, HeldLease? lease)
{
    public string Name => name;
    public int ProcessId => processId;
    public HeldLease? Lease => lease;
    /// <summary>A standby that was promoted, and under which lease.</summary>
    public HeldLease? Promoted { get; set; }
    /// <summary>A database: whom it follows, and whom its commits wait for.</summary>
    public NodeName? Upstream { get; set; }
    public IReadOnlyList<NodeName> Required { get; set; } = [];
    /// <summary>For how many of them; null: all.</summary>
    public int? Any { get; set; }
    public int Waits => Math.Min(Any ?? Required.Count, Required.Count);
}

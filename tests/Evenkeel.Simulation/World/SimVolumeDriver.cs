using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Simulation.World;

/// <summary>
/// A volume's driver over the simulated guard: the leg's server is a process without a lease, the writer one under the volume's
/// lease; what they say is some milliseconds old, and a new setting of whom writes wait for takes effect after a while.
/// </summary>
internal sealed class SimVolumeDriver(SimCluster cluster, SimNode node, SimAgent agent)
{
    private InstanceOrder? order;
    private long? startingLeg, startingWriter, stopping, demoting;
    private Epoch writerEpoch;
    private long watches;
    private bool told;
    private InstanceFacts? said;

    /// <summary>Of the process that runs now, or ran last.</summary>
    public SimWriter? Writer { get; private set; }

    /// <summary>Who works on it waits for a write: it does not end, whatever it is asked.</summary>
    public bool IsFrozen => Running is { Runs: true, Frozen: true };

    private bool LegRuns => node.Running.ContainsKey(SimVolume.LegProcess);
    private SimWriter? Running => Writer is { } writer && node.Running.TryGetValue(SimVolume.Id, out var process) && process.ProcessId == writer.Process ? writer : null;

    public void Recover()
    {
        (order, startingLeg, startingWriter, stopping, demoting, told, said) = (null, null, null, null, null, false, null);
        if (LegRuns) agent.Post(new InstanceChanged(new InstanceFacts(SimVolume.Id, InstanceStatus.Running, Health.Unknown)));
        Watch(++watches);
    }

    public void Take(InstanceAction action)
    {
        switch (action)
        {
            case StartInstance start: Start(start); break;
            case StopInstance stop: End(stop.ActionId, () => stopping = stop.ActionId, both: true); break;
            case DemoteInstance demote: End(demote.ActionId, () => demoting = demote.ActionId, both: false); break;
            case PromoteInstance promote: LaunchWriter(promote.ActionId, promote.Epoch); break;
        }
    }

    public void FromGuard(GuardMessage message)
    {
        switch (message)
        {
            case GuardHello hello when hello.Instances.All(running => running.Instance != SimVolume.LegProcess): Gone(leg: true, "the guard was lost"); break;
            case GuardHello hello when hello.Instances.All(running => running.Instance != SimVolume.Id): Gone(leg: false, "the guard was lost"); break;
            case Launched { Instance: SimVolume.LegProcess } launched when startingLeg is { } action:
                startingLeg = null;
                if (launched.Error is null && order is { Epoch: { } epoch, Replication.Initialise: true })
                {
                    LaunchWriter(action, epoch);
                    break;
                }
                Done(action, launched.Error);
                Say();
                break;
            case Launched { Instance: SimVolume.Id } launched when startingWriter is { } action:
                startingWriter = null;
                if (launched.Error is null)
                {
                    Writer = new SimWriter(cluster, cluster.Volume, node, launched.ProcessId, writerEpoch);
                    if (order!.Replication!.Initialise) node.Leg.Name ??= cluster.Volume.NewName();
                    Writer.Require(order.Replication.Required);
                }
                Done(action, launched.Error);
                Say();
                break;
            case Exited { Instance: SimVolume.LegProcess }: Gone(leg: true, null); break;
            case Exited { Instance: SimVolume.Id }: Gone(leg: false, null); break;
        }
    }

    private void Start(StartInstance start)
    {
        order = start.Order;
        told = true;
        if (!LegRuns)
        {
            startingLeg = start.ActionId;
            After(10, 100, () => node.Guard.FromAgent(new Launch(new LaunchRequest { Instance = SimVolume.LegProcess, Command = ["./leg"], LogFile = "/dev/null" })));
            return;
        }
        if (Running is null && order is { Epoch: { } epoch, Replication.Initialise: true })
        {
            LaunchWriter(start.ActionId, epoch);
            return;
        }
        After(5, 60, () =>
        {
            if (Running is { } writer && order is { Epoch: not null, Replication: { } orders } && !writer.Required.SequenceEqual(orders.Required)) writer.Require(orders.Required);
            Done(start.ActionId, null);
            Say();
        });
    }

    private void LaunchWriter(long action, Epoch epoch)
    {
        if (!LegRuns || order is null)
        {
            Done(action, "its leg is not served");
            return;
        }
        startingWriter = action;
        writerEpoch = epoch;
        After(20, 200, () => node.Guard.FromAgent(new Launch(new LaunchRequest
        {
            Instance = SimVolume.Id, Lease = new HeldLease(ResourceId.Volume(SimVolume.Name), epoch), Command = ["./writer"], LogFile = "/dev/null",
        })));
    }

    private void End(long action, Action remember, bool both)
    {
        if (Running is null && !(both && LegRuns))
        {
            Done(action, null);
            Say();
            return;
        }
        remember();
        if (both) Say(InstanceStatus.Stopping);
        After(5, 200, () =>
        {
            if (Running is not null) node.Kill(SimVolume.Id);
            if (both) node.Kill(SimVolume.LegProcess);
        });
    }

    private void Gone(bool leg, string? failure)
    {
        said = null;
        Say();
        if (leg && startingLeg is { } starting) { startingLeg = null; Done(starting, failure ?? "it ended"); }
        if ((failure is not null || !leg) && startingWriter is { } launching) { startingWriter = null; Done(launching, failure ?? "it ended"); }
        if (Running is null && demoting is { } demote) { demoting = null; Done(demote, null); }
        if (Running is null && !LegRuns && stopping is { } stop) { stopping = null; Done(stop, null); }
    }

    private void Watch(long mine) => After(20, 80, () =>
    {
        if (mine != watches) return;
        if (told && stopping is null) Say();
        Watch(mine);
    });

    private void Say(InstanceStatus? status = null)
    {
        var writer = Running;
        var facts = new InstanceFacts(SimVolume.Id, status ?? (LegRuns ? InstanceStatus.Running : InstanceStatus.Stopped), !LegRuns ? Health.Unknown : writer is { Mounted: false } ? Health.Unknown : Health.Healthy)
        {
            Epoch = writer?.Epoch,
            Version = LegRuns ? order?.Version ?? 0 : 0,
            Position = node.Leg.Events,
            Replication = new ReplicationFacts
            {
                Data = node.Leg.Name,
                Timeline = (int)(node.Leg.Gate.Highest.Incarnation * 100_000L + node.Leg.Gate.Highest.Number),
                Streaming = LegRuns && writer is null,
                Required = writer?.Required ?? [],
                Synchronous = writer is null ? [] : [.. writer.Synchronous],
                Followers = writer is null ? [] : [.. writer.Followers],
            },
        };
        if (facts == said) return;
        said = facts;
        agent.Post(new InstanceChanged(facts));
    }

    private void Done(long action, string? failure) => agent.Post(new ActionCompleted(action, failure is null ? ActionResult.Success : ActionResult.Failure(failure)));

    private void After(double low, double high, Action what)
    {
        var mine = agent.Process.Generation;
        cluster.Time.After(cluster.Chance.Milliseconds(low, high), () => { if (mine == agent.Process.Generation) agent.Process.Post(what); });
    }
}

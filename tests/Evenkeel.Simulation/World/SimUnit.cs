using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// A service that no guard can end: another manager runs it (systemd), or it is no process at all (a mount). It outlives its
/// lease, its guard and its agent; its stop may fail. Only the machine's power ends it for sure.
/// </summary>
internal sealed class SimUnit(SimCluster cluster, SimNode node, SimAgent agent)
{
    public const string Service = "unit";

    /// <summary>Under which ownership it was started; null while it does not run.</summary>
    public Owner? Runs { get; private set; }

    /// <summary>A new agent looks whether it runs.</summary>
    public void Recover()
    {
        if (Runs is { } left) Say(InstanceStatus.Running, left.Epoch);
    }

    public void LosePower() => Runs = null;

    public void Take(InstanceAction action)
    {
        switch (action)
        {
            case StartInstance start:
                var right = new Owner(node.Name, node.Guard.Session, start.Order.Epoch!.Value);
                After(20, 200, () =>
                {
                    // The right may be over by now: nothing stops it.
                    Runs ??= right;
                    cluster.DoorsMoved = true;
                    Say(InstanceStatus.Running, Runs.Epoch, start.Order.Version);
                    Done(start.ActionId, null);
                });
                break;
            case StopInstance stop:
                Say(InstanceStatus.Stopping, Runs?.Epoch);
                After(10, 300, () =>
                {
                    var fails = Runs is not null && cluster.Chance.Happens(cluster.Calm ? 0 : 0.15);
                    if (!fails) Runs = null;
                    Say(fails ? InstanceStatus.Stuck : InstanceStatus.Stopped, Runs?.Epoch);
                    Done(stop.ActionId, fails ? "it does not end" : null);
                });
                break;
        }
    }

    private void Say(InstanceStatus status, Epoch? epoch, ulong version = 0) =>
        agent.Post(new InstanceChanged(new InstanceFacts(Service, status, status == InstanceStatus.Running ? Health.Healthy : Health.Unknown) { Epoch = epoch, Version = version }));

    private void Done(long action, string? failure) =>
        agent.Post(new ActionCompleted(action, failure is null ? ActionResult.Success : ActionResult.Failure(failure)));

    private void After(double low, double high, Action what)
    {
        var mine = agent.Process.Generation;
        cluster.Time.After(cluster.Chance.Milliseconds(low, high), () => { if (mine == agent.Process.Generation) agent.Process.Post(what); });
    }
}

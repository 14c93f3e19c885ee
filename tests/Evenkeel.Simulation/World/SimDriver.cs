using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Simulation.World;

/// <summary>A process driver over the simulated guard: launches through it, learns of exits from it, probes with a delay.</summary>
internal sealed class SimDriver(SimCluster cluster, SimNode node, SimAgent agent)
{
    private readonly Dictionary<string, (long Action, HeldLease? Lease)> launching = [];
    private readonly Dictionary<string, long> stopping = [];
    private readonly Dictionary<string, ulong> versions = [];
    private readonly Dictionary<string, StartInstance> replacing = [];
    private readonly SimReplica replica = new(cluster, node, agent);

    /// <summary>A new agent finds what an earlier one started.</summary>
    public void Recover()
    {
        launching.Clear();
        stopping.Clear();
        versions.Clear();
        replacing.Clear();
        if (cluster.Spec.Services.ContainsKey(SimDatabase.Service)) replica.Recover();
        agent.Unit.Recover();
        if (cluster.HasVolume) agent.Volume.Recover();
        foreach (var instance in node.Running.Values.Where(instance => instance.Name != SimDatabase.Service && !IsOfVolume(instance.Name)))
            agent.Post(new InstanceChanged(new InstanceFacts(instance.Name, InstanceStatus.Running, Health.Healthy) { Epoch = (instance.Lease ?? instance.Promoted)?.Epoch, ProcessId = instance.ProcessId }));
    }

    public void Take(InstanceAction action)
    {
        switch (action)
        {
            case { Service: SimDatabase.Service }: replica.Take(action); break;
            case { Service: SimVolume.Id }: agent.Volume.Take(action); break;
            case { Service: SimUnit.Service }: agent.Unit.Take(action); break;
            case StartInstance start:
                var ran = versions.GetValueOrDefault(start.Service);
                versions[start.Service] = start.Order.Version;
                if (node.Running.TryGetValue(start.Service, out var left))
                {
                    if (ran != 0 && ran != start.Order.Version)
                    {
                        replacing[start.Service] = start;
                        Changed(start.Service, InstanceStatus.Stopping, null);
                        After(5, 200, () => node.Kill(start.Service));
                        break;
                    }
                    Changed(start.Service, InstanceStatus.Running, (left.Lease ?? left.Promoted)?.Epoch);
                    Done(start.ActionId);
                    break;
                }
                Launch(start);
                break;
            case StopInstance stop:
                if (!node.Running.ContainsKey(stop.Service))
                {
                    Changed(stop.Service, InstanceStatus.Stopped, null);
                    Done(stop.ActionId);
                    break;
                }
                stopping[stop.Service] = stop.ActionId;
                Changed(stop.Service, InstanceStatus.Stopping, node.Running[stop.Service].Lease?.Epoch);
                End(stop.Service);
                break;
            case PromoteInstance promote: After(10, 100, () => Promote(promote)); break;
            case DemoteInstance demote:
                After(5, 50, () =>
                {
                    if (node.Running.TryGetValue(demote.Service, out var running)) running.Promoted = null;
                    Changed(demote.Service, running is null ? InstanceStatus.Stopped : InstanceStatus.Running, null);
                    Done(demote.ActionId);
                });
                break;
        }
    }

    public void FromGuard(GuardMessage message)
    {
        replica.FromGuard(message);
        if (cluster.HasVolume) agent.Volume.FromGuard(message);
        switch (message)
        {
            case GuardHello hello: Forget(hello); break;
            case Launched launched when launching.Remove(launched.Instance, out var pending):
                if (launched.Error is null)
                {
                    Changed(launched.Instance, InstanceStatus.Running, pending.Lease?.Epoch, Health.Unknown);
                    After(50, 250, () => Probe(launched.Instance, launched.ProcessId));
                }
                agent.Post(new ActionCompleted(pending.Action, launched.Error is null ? ActionResult.Success : ActionResult.Failure(launched.Error)));
                break;
            case Exited { Instance: not SimDatabase.Service } exited when !IsOfVolume(exited.Instance):
                Changed(exited.Instance, InstanceStatus.Stopped, null);
                if (stopping.Remove(exited.Instance, out var stop)) Done(stop);
                if (replacing.Remove(exited.Instance, out var next)) Launch(next);
                break;
        }
    }

    // A process in the middle of an fsync cannot even be killed.
    private void End(string service) => After(5, 200, () =>
    {
        if (service == SimVolume.User && cluster.HasVolume && agent.Volume.IsFrozen) End(service);
        else node.Kill(service);
    });

    private static bool IsOfVolume(string instance) => instance.StartsWith(SimVolume.Id, StringComparison.Ordinal);

    private void Launch(StartInstance start)
    {
        HeldLease? lease = start.Order.Epoch is { } epoch ? new(ResourceId.Service(start.Service), epoch) : null;
        launching[start.Service] = (start.ActionId, lease);
        After(10, 150, () => node.Guard.FromAgent(new Launch(new LaunchRequest
        {
            Instance = start.Service, Lease = lease, Command = ["./" + start.Service], LogFile = "/dev/null",
        })));
    }

    private void Promote(PromoteInstance promote)
    {
        var found = node.Running.TryGetValue(promote.Service, out var running);
        if (found)
        {
            running!.Promoted = new HeldLease(ResourceId.Service(promote.Service), promote.Epoch);
            cluster.DoorsMoved = true;
            Changed(promote.Service, InstanceStatus.Running, promote.Epoch);
        }
        agent.Post(new ActionCompleted(promote.ActionId, found ? ActionResult.Success : ActionResult.Failure("it does not run")));
    }

    // Another guard answered: nothing of the old one's children is left.
    private void Forget(GuardHello hello)
    {
        foreach (var (service, pending) in launching.ToList()) agent.Post(new ActionCompleted(pending.Action, ActionResult.Failure("the guard was lost")));
        foreach (var (service, action) in stopping.ToList()) Done(action);
        foreach (var next in replacing.Values.ToList()) agent.Post(new ActionCompleted(next.ActionId, ActionResult.Failure("the guard was lost")));
        launching.Clear();
        stopping.Clear();
        replacing.Clear();
        foreach (var service in cluster.Spec.Services.Keys.Where(service => service is not (SimDatabase.Service or SimUnit.Service)))
            if (hello.Instances.All(running => running.Instance != service)) Changed(service, InstanceStatus.Stopped, null);
    }

    private void Probe(string service, int process)
    {
        if (node.Running.TryGetValue(service, out var running) && running.ProcessId == process)
            Changed(service, InstanceStatus.Running, (running.Lease ?? running.Promoted)?.Epoch);
    }

    private void Changed(string service, InstanceStatus status, Epoch? epoch, Health health = Health.Healthy) =>
        agent.Post(new InstanceChanged(new InstanceFacts(service, status, status == InstanceStatus.Running ? health : Health.Unknown) 
        {
            Epoch = epoch, Version = status == InstanceStatus.Running ? versions.GetValueOrDefault(service) : 0,
        }));

    private void Done(long action) => agent.Post(new ActionCompleted(action, ActionResult.Success));

    private void After(double low, double high, Action what)
    {
        var mine = agent.Process.Generation;
        cluster.Time.After(cluster.Chance.Milliseconds(low, high), () => { if (mine == agent.Process.Generation) what(); });
    }
}

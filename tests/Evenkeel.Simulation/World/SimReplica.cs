using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Simulation.World;

/// <summary>
/// A database driver over the simulated guard, with the traits of the real one that decide what is lost: it clones from
/// whom it is told to follow, a new setting of whom commits wait for takes effect after a while, a standby counts as
/// synchronous only after a look at what it has, and what it says of itself is some milliseconds old.
/// </summary>
internal sealed class SimReplica(SimCluster cluster, SimNode node, SimAgent agent)
{
    private const string Service = SimDatabase.Service;
    private long? launching;
    private InstanceOrder? order;
    private long? stopping;
    private long? demoting;
    private long watches;
    private long confirming;
    private bool told;
    private HashSet<NodeName> confirmed = [];
    private InstanceFacts? said;

    private SimInstance? Instance => node.Running.GetValueOrDefault(Service);

    /// <summary>A new agent finds what an earlier one started, and knows nothing of its role before it is told to adopt it.</summary>
    public void Recover()
    {
        (launching, order, stopping, demoting, told, said) = (null, null, null, null, false, null);
        confirmed = [];
        if (Instance is { } left) agent.Post(new InstanceChanged(new InstanceFacts(Service, InstanceStatus.Running, Health.Unknown) { ProcessId = left.ProcessId }));
        Watch(++watches);
    }

    public void Take(InstanceAction action)
    {
        switch (action)
        {
            case StartInstance start: Start(start); break;
            case LookAtData look:
                Say();
                Done(look.ActionId, null);
                break;
            case StopInstance stop: End(() => stopping = stop.ActionId, stop.ActionId); break;
            case PromoteInstance promote: After(10, 100, () => Promote(promote)); break;
            case DemoteInstance demote: End(() => demoting = demote.ActionId, demote.ActionId); break;
        }
    }

    public void FromGuard(GuardMessage message)
    {
        switch (message)
        {
            case GuardHello hello when hello.Instances.All(running => running.Instance != Service): Gone("the guard was lost"); break;
            case Launched launched when launched.Instance == Service && launching is { } action:
                launching = null;
                if (launched.Error is null) Apply();
                Done(action, launched.Error);
                break;
            case Exited exited when exited.Instance == Service: Gone(null); break;
        }
    }

    private void Start(StartInstance start)
    {
        var orders = start.Order.Replication!;
        order = start.Order;
        told = true;
        if (Instance is not null)
        {
            // Reloaded, which takes its time.
            After(5, 60, () =>
            {
                Apply();
                Done(start.ActionId, Instance is null ? "it ended" : null);
            });
            return;
        }
        if (orders.Data is { } name && node.Data.Name is { } other && other != name) { Done(start.ActionId, $"{other} here is other data than {name}"); return; }
        if (node.Data.Name is null && start.Order.Epoch is null && orders.Upstream is null) { Done(start.ActionId, "there is no data here and nobody to copy it from"); Say(); return; }
        if (node.Data.Name is null && start.Order.Epoch is not null && !orders.Initialise) { Done(start.ActionId, "there is no data here"); return; }
        launching = start.ActionId;
        After(10, 150, () => node.Guard.FromAgent(new Launch(new LaunchRequest { Instance = Service, Command = ["./db"], LogFile = "/dev/null" })));
    }

    /// <summary>What the order says takes effect.</summary>
    private void Apply()
    {
        if (Instance is not { } instance || order is not { Replication: { } orders } now) return;
        if (now.Epoch is { } epoch && instance.Promoted is null && orders.Initialise)
        {
            node.Data.Name ??= cluster.Database.NewName();
            BecomeActive(instance, epoch);
        }
        if (instance.Promoted is null)
        {
            instance.Upstream = orders.Upstream?.Node;
        }
        else if (!instance.Required.SequenceEqual(orders.Required) || instance.Waits != Math.Min(orders.Any ?? orders.Required.Count, orders.Required.Count))
        {
            (instance.Required, instance.Any) = (orders.Required, orders.Any);
            confirmed = [];
            var setting = orders.Required;
            // A look at what the standbys have, a while after the setting took effect.
            var settings = ++confirming;
            After(100, 300, () => Confirm(setting, settings));
        }
        Say();
    }

    private void Confirm(IReadOnlyList<NodeName> setting, long settings)
    {
        if (Instance is not { Promoted: not null } active || settings != confirming || !active.Required.SequenceEqual(setting)) return;
        foreach (var other in setting)
            if (cluster.Database.Follows(cluster.Node(other), node.Name) && node.Data.Log.All(cluster.Node(other).Data.Log.ToHashSet().Contains)) confirmed.Add(other);
        if (confirmed.Count < setting.Count) After(20, 60, () => Confirm(setting, settings));
        Say();
    }

    private void Promote(PromoteInstance promote)
    {
        if (Instance is { Promoted: null } instance)
        {
            if (node.Data.Name is null)
            {
                Done(promote.ActionId, "there is no data");
                return;
            }
            (instance.Required, instance.Any) = (order?.Replication?.Required ?? [], order?.Replication?.Any);
            BecomeActive(instance, promote.Epoch);
            Say();
        }
        Done(promote.ActionId, Instance is null ? "it does not run" : null);
    }

    private void BecomeActive(SimInstance instance, Epoch epoch)
    {
        instance.Promoted = new HeldLease(ResourceId.Service(Service), epoch);
        instance.Upstream = null;
        // As the driver does it: what was active under this very epoch goes on where it was.
        if (node.Data.Epoch != epoch || node.Data.Timeline == 0) node.Data.Timeline++;
        node.Data.Epoch = epoch;
        confirmed = [];
        cluster.DoorsMoved = true;
        cluster.Trace(node.Name, $"db is active under {epoch} with {node.Data.Log.Count} writes");
        cluster.Database.Promoted(node);
    }

    private void End(Action remember, long action)
    {
        if (Instance is null)
        {
            Done(action, null);
            Say();
            return;
        }
        remember();
        Say(InstanceStatus.Stopping);
        After(5, 200, () => node.Kill(Service));
    }

    private void Gone(string? failure)
    {
        said = null;
        Say();
        if (launching is { } launch) Done(launch, failure ?? "it ended");
        if (stopping is { } stop) Done(stop, null);
        if (demoting is { } demote) Done(demote, null);
        launching = stopping = demoting = null;
        confirmed = [];
    }

    // Looked at now and then, as the real one is; told when it changed.
    private void Watch(long mine) => After(20, 80, () =>
    {
        if (mine != watches) return;
        if (told && stopping is null && demoting is null && launching is null) Say();
        Watch(mine);
    });

    private void Say(InstanceStatus? status = null)
    {
        var instance = Instance;
        var active = instance?.Promoted;
        var facts = new InstanceFacts(Service, status ?? (instance is null ? InstanceStatus.Stopped : InstanceStatus.Running), instance is null ? Health.Unknown : Health.Healthy)
        {
            Epoch = active?.Epoch,
            ProcessId = instance?.ProcessId,
            Version = instance is null ? 0 : order?.Version ?? 0,
            Position = node.Data.Log.Count,
            Replication = new ReplicationFacts
            {
                Data = node.Data.Name,
                Timeline = node.Data.Timeline,
                Upstream = instance?.Upstream,
                Streaming = instance?.Upstream is { } upstream && cluster.Database.Follows(node, upstream),
                Required = active is null ? [] : instance!.Required,
                Any = active is null ? 0 : instance!.Waits,
                Synchronous = active is null ? [] : [.. instance!.Required.Where(confirmed.Contains).Where(Followed)],
                Followers = active is null ? [] : [.. cluster.Nodes.Keys.Where(other => other != node.Name && Followed(other))],
            },
        };
        if (facts == said) return;
        said = facts;
        agent.Post(new InstanceChanged(facts));
    }

    private bool Followed(NodeName other) => cluster.Database.Follows(cluster.Node(other), node.Name);

    private void Done(long action, string? failure) =>
        agent.Post(new ActionCompleted(action, failure is null ? ActionResult.Success : ActionResult.Failure(failure)));

    private void After(double low, double high, Action what)
    {
        var mine = agent.Process.Generation;
        cluster.Time.After(cluster.Chance.Milliseconds(low, high), () => { if (mine == agent.Process.Generation) agent.Process.Post(what); });
    }
}

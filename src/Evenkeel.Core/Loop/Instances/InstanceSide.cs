using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.Loop.Instances;

/// <summary>
/// Brings this node's instances to what the committed state and the held leases ask for: one action at a time an instance,
/// retried with a growing pause. A single-active service is active only under a lease that the guard holds.
/// </summary>
public sealed class InstanceSide(Knowledge known, GuardSide guard, ReplicationSide replication)
{
    // What is drained still answers running requests for this long at least: until every balancer has heard that it leaves, and has said
    // whether it still has something under way with it.
    private static readonly TimeSpan drainNotice = TimeSpan.FromSeconds(2);
    // After so many failed starts in a row the instance counts as failed: the controller may try another node.
    private const int FailuresToGiveUp = 3;

    // What a person moves away or brings meanwhile is seen so soon.
    private static readonly TimeSpan lookEvery = TimeSpan.FromSeconds(3);

    private readonly SortedDictionary<string, LocalInstance> instances = new(StringComparer.Ordinal);
    private long lastAction;

    public IReadOnlyDictionary<string, LocalInstance> Instances => instances;

    public IReadOnlyList<InstanceFacts> Facts =>
        [.. from local in instances.Values
            where local.Said.Status != InstanceStatus.Stopped || local.Failures > 0 || local.Facts.Replication is not null || local.Banned is not null
            let facts = Marked(local, local.Said with { Leaving = local.DrainingSince is not null })
            select local.Failures >= FailuresToGiveUp && facts.Status == InstanceStatus.Stopped
                ? facts with { Status = InstanceStatus.Failed } : facts];

    // What is banned here has failed here, also once what was left of it has ended.
    private static InstanceFacts Marked(LocalInstance local, InstanceFacts facts) => local.Banned is not { } banned ? facts
        : facts with { Ban = banned.Where, Version = banned.Version, Detail = banned.Why, Status = facts.Status == InstanceStatus.Stopped ? InstanceStatus.Failed : facts.Status };

    /// <summary>An operator trusts this node again: everything that was banned here is tried again.</summary>
    public void OnResumed()
    {
        foreach (var local in instances.Values.Where(local => local.Banned is not null)) local.Pardon();
    }

    /// <summary>Nothing of a single-active service acts here: it is stopped, or runs as a mere standby. Of a database also when it has failed: then its server has ended.</summary>
    public bool IsQuiet(string service) =>
        !instances.TryGetValue(service, out var local)
        || (local.Action is null or LookAtData && local.Facts.Status switch
        {
            InstanceStatus.Stopped => true,
            InstanceStatus.Running => local.Facts.Epoch is null,
            InstanceStatus.Failed => local.Facts.Epoch is null && known.Services.GetValueOrDefault(service) is { IsReplicated: true },
            _ => false,
        });

    /// <summary>Everything of these, and whatever else runs here, was looked at: none is only found, or not yet checked for the first time.</summary>
    public bool IsKnown(IEnumerable<string> found) =>
        found.All(name => instances.TryGetValue(name, out var local) && local.Facts.Status != InstanceStatus.Stopped)
        && instances.Values.All(local => local.Facts.Status != InstanceStatus.Running || local.Facts.Health != Health.Unknown
            || known.Services.GetValueOrDefault(local.Service) is not { IsChecked: true });

    public void OnChanged(InstanceFacts facts)
    {
        var local = Local(facts.Service);
        var before = local.Facts;
        local.Facts = facts;
        if (before.Status != facts.Status || before.Health != facts.Health || before.Epoch != facts.Epoch) known.BeatSoon = true;
        if (facts.Status is InstanceStatus.Failed or InstanceStatus.Stuck && before.Status != facts.Status)
        {
            local.Failed(known.Awake);
            known.Announce(AnnouncementKind.InstanceFailed, $"{facts.Service} failed: {facts.Detail}", node: known.Self, epoch: facts.Epoch, service: facts.Service);
        }
    }

    public void OnCompleted(ActionCompleted completed)
    {
        var local = instances.Values.FirstOrDefault(local => local.Action?.ActionId == completed.ActionId);
        if (local?.Action is not { } action) return;
        local.Action = null;
        if (action is LookAtData) return;
        if (!completed.Result.Succeeded)
        {
            local.Failed(known.Awake);
            if (action is StopInstance) local.StoppedFor = -1;
            if (completed.Result.Ban is not Ban.None and var ban)
                local.Ban(ban, action is StartInstance { Order: var tried } ? tried.Version : local.Facts.Version, completed.Result.Reason ?? "");
            known.Announce(AnnouncementKind.ActionFailed, $"{action.GetType().Name} {local.Service}: {completed.Result.Reason}", node: known.Self, service: local.Service);
            return;
        }
        if (action is not StopInstance) local.Worked();
        if (action is StartInstance started) local.Told = started.Order.Replication;
        var kind = action is StopInstance ? AnnouncementKind.InstanceStopped : AnnouncementKind.InstanceStarted;
        known.Announce(kind, $"{action.GetType().Name} {local.Service} done", node: known.Self, service: local.Service);
    }

    public void Reconcile()
    {
        // Until a guard has said what runs here already, a start could be a second one.
        if (!known.HasState || !guard.Connected || known.Spec is null) return;
        foreach (var service in known.Services.Values) Reconcile(Local(service.Name), service);
        foreach (var swept in instances.Values.Where(local => !known.Services.ContainsKey(local.Service)).ToList())
        {
            if (swept.Facts.Status == InstanceStatus.Stopped && swept.Action is null)
            {
                // While it runs elsewhere, what it depends on must not end here.
                if (!RunsElsewhere(swept.Service)) instances.Remove(swept.Service);
            }
            else if (!IsStillNeeded(swept)) Take(swept, InstanceStep.Stop, null, null, null);
        }
    }

    private void Reconcile(LocalInstance local, ServiceSpec service)
    {
        var (wanted, epoch) = Wanted(service);
        local.DependsOn = service.DependsOn;
        AnnounceServing(local, service, epoch);
        var order = replication.OrderFor(service);
        // What failed with other data or another upstream may work now.
        if (order is not null && local.Tried is not null && !order.Equals(local.Tried)) local.Worked();
        if (local.Banned is { } banned && (banned.Version != local.VersionOf(service) || IsToRestart(local, out _))) local.Pardon();
        if (local.Action is null && MustLook(local, service, epoch))
        {
            local.LookedAt = known.Awake;
            known.Add(local.Action = new LookAtData(++lastAction, Order(local, service, null)));
            return;
        }
        if (local.Action is not null || known.Awake < local.NotBefore) return;
        if (wanted is not InstanceRole.None && !replication.MayAct(service, wanted is InstanceRole.Active, local.Facts)) return;
        if (local.Facts.Status is InstanceStatus.Stopping) return;
        // Of what could not be stopped nobody knows what it is: it must end before it may be anything else.
        var step = local.Facts.Status is InstanceStatus.Stuck ? InstanceStep.Stop : RedundancyPolicy.Of(service).Next(wanted, local.Facts, epoch);
        // What comes up by itself is not started again. But it may be stopped, and a copy that lacks what only another upstream
        // has would come up never, were it not told of that one.
        if (local.Facts.Status is InstanceStatus.Starting && step is InstanceStep.Start && (order is null || order.Equals(local.Tried))) return;
        // One that an earlier agent left is adopted before anything else; a running one hears what its data shall do now.
        // A volume's writer hears before its first write whom it must wait for.
        if (order is not null && local.Facts.Status == InstanceStatus.Running && wanted is not InstanceRole.None
            && (local.Facts.Version == 0 || ((step is InstanceStep.Nothing || (step is InstanceStep.Promote && service.IsVolume && known.Rules.OrderBeforePromotion)) && !order.Equals(local.Told)))) step = InstanceStep.Start;
        // Whoever works on it, and its unmount, may hang on a leg until the writer hears that it was put out. Said once: what cannot
        // be said keeps nothing from ending.
        if (order is not null && step is InstanceStep.Demote or InstanceStep.Stop && local.Facts.Status == InstanceStatus.Running
            && replication.LeavingEpoch(service) is { } leaving && local.Facts.Epoch == leaving && !order.Equals(local.Tried))
        {
            Take(local, InstanceStep.Start, service, leaving, order);
            return;
        }
        var restarts = IsToRestart(local, out var request) && local.Facts.Status is InstanceStatus.Running or InstanceStatus.Failed && wanted is not InstanceRole.None;
        if (restarts) step = InstanceStep.Stop;
        // What is mounted is in use until its service has ended.
        if (service.IsVolume && step is InstanceStep.Demote or InstanceStep.Stop && known.UserOf(service.Resource.Name) is { } user && !IsQuiet(user.Name)) return;
        if (step is InstanceStep.Demote or InstanceStep.Stop && wanted is not InstanceRole.Active && IsStillNeeded(local)) return;
        var leaves = step is InstanceStep.Stop && (wanted is InstanceRole.None || restarts);
        if (step is InstanceStep.Nothing && local.Facts.Status == InstanceStatus.Running && local.Facts.Version != local.VersionOf(service))
        {
            // Left by an earlier agent, it is adopted at once; started from an older file, it is replaced when its turn comes.
            leaves = local.Facts.Version != 0;
            if (!leaves || IsTurnOf(service, local)) step = InstanceStep.Start;
            else leaves = false;
        }
        if (!leaves) local.DrainingSince = null;
        else if (service.Activity == Activity.Spread && service.Publish.Count > 0 && local.Facts.Status == InstanceStatus.Running)
        {
            if (local.DrainingSince is null) known.BeatSoon = true;
            local.DrainingSince ??= known.Awake;
            var draining = known.Awake - local.DrainingSince;
            if (draining < drainNotice || (draining < service.DrainTimeout && known.IsFinishing(service.Name, known.Self))) return;
        }
        // What runs is still told whom to follow.
        if (local.Banned is not null && (step is InstanceStep.Promote || (step is InstanceStep.Start && local.Facts.Status != InstanceStatus.Running))) return;
        if (step is InstanceStep.Start && !DependenciesServe(service)) return;
        if (restarts) local.StoppedFor = request;
        Take(local, step, service, epoch, order);
    }

    // Before anybody owns data of it, each node says what it has.
    private bool MustLook(LocalInstance local, ServiceSpec service, Epoch? epoch) =>
        epoch is null && local.Facts.Status is InstanceStatus.Stopped or InstanceStatus.Failed && FoundData.IsAsked(known, service)
        && (local.LookedAt is not { } at || known.Awake - at >= lookEvery);

    private bool IsToRestart(LocalInstance local, out long request)
    {
        request = 0;
        if (known.State.Restarts.IsEmpty || !known.State.Restarts.TryGetValue(new RestartRequest(local.Service, known.Self).Key, out var record)) return false;
        request = record.Revision;
        return local.StoppedFor < request;
    }

    // A changed service rolls over its nodes by name: the next one when all before it run the new version, and only while all
    // others serve. The first that fails with it ends the roll, and the rest goes on as it was.
    private bool IsTurnOf(ServiceSpec service, LocalInstance local)
    {
        if (service.Activity != Activity.Spread || !known.State.Assignments.TryGetValue(service.Name, out var assignment)) return true;
        var version = local.VersionOf(service);
        // A node on which it is banned is assigned no longer, but that it failed there with this version ends the roll all the same.
        if (known.Spec!.Nodes.Keys.Any(node => known.LiveInstance(node, service.Name) is { Ban: not Ban.None } banned && banned.Version == version)) return false;
        foreach (var node in assignment.Value.Nodes)
        {
            if (node == known.Self || !known.IsAlive(node)) continue;
            var other = known.LiveInstance(node, service.Name);
            if (other is not { Leaving: false } || !other.Serves(service)) return false;
            if (node.CompareTo(known.Self) < 0 && other.Version != version) return false;
        }
        return true;
    }

    private (InstanceRole, Epoch?) Wanted(ServiceSpec service)
    {
        var assigned = known.State.Assignments.TryGetValue(service.Name, out var assignment) && assignment.Value.Nodes.Contains(known.Self);
        if (!service.Mounts.All(IsMounted)) return (InstanceRole.None, null);
        if (service.Activity == Activity.Spread) return (assigned ? InstanceRole.Active : InstanceRole.None, null);
        if (guard.HeldEpoch(service.Resource) is { } epoch) return (InstanceRole.Active, epoch);
        return (assigned && RedundancyPolicy.Of(service).StandbyRuns ? InstanceRole.Standby : InstanceRole.None, null);
    }

    // Under the very lease that is held now: one that was lost and had anew was not mounted in between.
    private bool IsMounted(MountSpec mount) => guard.HeldEpoch(ResourceId.Volume(mount.Volume)) is { } epoch
        && instances.GetValueOrDefault(ResourceId.Volume(mount.Volume).Value)?.Facts is { Status: InstanceStatus.Running, Health: Health.Healthy } facts && facts.Epoch == epoch;

    /// <summary>
    /// What depends on it is to stop too, and ends first: here; and, where it was taken out of the file, wherever it runs. Never longer than
    /// its lease: what has none must not act, whoever needs it.
    /// </summary>
    private bool IsStillNeeded(LocalInstance local) => known.Rules.StopInReverse
        && (local.Facts.Epoch is null || guard.LeasedEpoch(ResourceId.Service(local.Service)) is not null)
        && instances.Values.Any(other => other.DependsOn.Contains(local.Service)
            && (known.Services.TryGetValue(other.Service, out var dependent) ? other.Said.MayEnd && Wanted(dependent).Item1 is InstanceRole.None : other.Said.MayEnd || RunsElsewhere(other.Service)));

    private bool RunsElsewhere(string service) =>
        known.Spec!.Nodes.Keys.Any(node => node != known.Self && known.LiveInstance(node, service) is { MayEnd: true });

    private bool DependenciesServe(ServiceSpec service) => service.DependsOn.All(needed =>
        known.Spec!.Services.TryGetValue(needed, out var dependency) && known.Spec.Nodes.Keys.Any(node =>
            known.LiveInstance(node, needed) is { } instance && instance.Serves(dependency)
            && (dependency.Activity == Activity.Spread || instance.Epoch is not null)));

    private void AnnounceServing(LocalInstance local, ServiceSpec service, Epoch? epoch)
    {
        var serves = epoch is not null && local.Facts.Epoch == epoch && local.Facts.Serves(service);
        if (serves && !local.ServingAnnounced)
            known.Announce(AnnouncementKind.Serving, $"{service.Name} serves", service.Resource, known.Self, epoch, service.Name);
        local.ServingAnnounced = serves;
    }

    private void Take(LocalInstance local, InstanceStep step, ServiceSpec? service, Epoch? epoch, ReplicationOrder? data)
    {
        if (local.Action is not null || step is InstanceStep.Nothing || known.Awake < local.NotBefore) return;
        var id = ++lastAction;
        if (step is InstanceStep.Start) local.Tried = data;
        local.Action = step switch
        {
            InstanceStep.Start => new StartInstance(id, Order(local, service!, StartsActive(local, service!, epoch, data) ? epoch : null) with { Replication = data }),
            InstanceStep.Promote => new PromoteInstance(id, local.Service, epoch!.Value),
            InstanceStep.Demote => new DemoteInstance(id, local.Service),
            _ => new StopInstance(id, local.Service),
        };
        known.Add(local.Action);
    }

    // A standby starts without an epoch, and is promoted once it runs: but the first data is made by the active one, and what
    // acts under this epoch, or may do so since an earlier agent's time, goes on.
    private static bool StartsActive(LocalInstance local, ServiceSpec service, Epoch? epoch, ReplicationOrder? data) =>
        !RedundancyPolicy.Of(service).StandbyRuns
        || (data is not null && epoch is not null && (data.Initialise || (local.Facts.Status == InstanceStatus.Running && (local.Facts.Version == 0 || local.Facts.Epoch == epoch))));

    private InstanceOrder Order(LocalInstance local, ServiceSpec service, Epoch? epoch)
    {
        var node = known.Spec!.Nodes[known.Self];
        var endpoint = service.Driver.Port is { } port ? new PrivateEndpoint(node.Private[0], port) : null;
        return new InstanceOrder(service, node, endpoint, epoch) { Version = local.VersionOf(service) };
    }

    private LocalInstance Local(string service)
    {
        if (!instances.TryGetValue(service, out var local)) instances[service] = local = new LocalInstance(service);
        return local;
    }
}

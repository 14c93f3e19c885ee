using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.Placement;

namespace Evenkeel.Core.Failover;

/// <summary>
/// Who owns a single-active service. A planned move has two commits: first nobody owns it, so that the old owner stops in
/// order and gives the lease back; then the new owner. A lost owner is replaced at once: the voters make the new one wait.
/// </summary>
public sealed class SingleActiveDecisions(Knowledge known, ControllerMemory memory, OwnerJudge judge, FenceDecisions fences, ReplicaChoice replicas, Placer placer)
{
    private static readonly TimeSpan steadyForFailback = TimeSpan.FromSeconds(30);

    // Pass one's: whose owner stands where the file forbids it.
    private readonly Dictionary<string, string> violations = new(StringComparer.Ordinal);

    /// <summary>Pass one: an owner that stays has its room, where the file allows that.</summary>
    public void Keep(ServiceSpec service)
    {
        if (Record(service)?.Current is not { } owner || Judge(service, owner).Verdict == Verdict.MustGo) return;
        placer.Keep(service, [owner.Node], 1);
        if (placer.Violation(service, owner.Node) is { } violation) violations[service.Name] = violation;
    }

    public void Decide(ServiceSpec service, DecisionBatch batch, bool settled)
    {
        var resource = ResourceId.Service(service.Name);
        var record = Record(service);
        fences.AskForStuck(service, batch);
        if (record is not null && replicas.IsUnknown(service) && record.LastEpoch.Incarnation < known.State.Incarnation)
        {
            // Whoever acts ends first: then every copy can be looked at, and the best one chosen.
            batch.Put(Epochs.Nobody(record, "the store was restored: nobody knows which copy has every write") with { LastEpoch = Epochs.Next(known, resource) });
            return;
        }
        if (record?.Current is { } owner)
        {
            var (verdict, why) = Judge(service, owner);
            memory.Judged(resource, owner, verdict, why);
            var wish = Wish(service, owner, verdict, batch);
            if (wish is not null && verdict != Verdict.MustGo) (verdict, why) = (Verdict.ShouldGo, "moved by an operator");
            if (verdict == Verdict.Stays) return;
            var better = Best(service, verdict == Verdict.ShouldGo ? owner.Node : null, wish);
            if (verdict == Verdict.ShouldGo)
            {
                if (better is not null && !IsStillNeeded(service, owner.Node, batch)) batch.Put(Epochs.Nobody(record, $"{why}: it moves to {better}", better));
                return;
            }
            var acts = fences.MayStillAct(service, owner.Node, batch);
            // While it lives it could begin to act at any moment, until it has seen that it is the owner no longer.
            if (known.IsAlive(owner.Node) && (acts || service.Requires == Requirement.Fencing || known.ModeOf(owner.Node) == NodeMode.Maintenance)) batch.Put(Epochs.Nobody(record, why));
            else if (acts || IsUnknown(service, record, batch)) return;
            else if (replicas.MustAsk(service)) batch.Put(Epochs.Nobody(record, $"{why}: its standbys are asked what they have"));
            else if (better is { } to && (to != owner.Node || memory.MayTryAgain(resource, to))) batch.Put(Epochs.Grant(known, resource, to, why));
            return;
        }
        if (record is null && !settled) return;
        if (IsUnknown(service, record, batch) || (record is not null && !fences.GivenBack(service, record, batch))) return;
        if (Best(service, null, record?.Intended) is not { } first) return;
        // The wish is over, else it would move on at once, for as long as the other has more.
        if (record?.Intended is { } wished && first != wished && known.State.Moves.TryGetValue(resource, out var move) && move.Value.To == wished)
            batch.Delete(move, AnnouncementKind.MoveRefused, $"{wished} cannot have {service.Name} now: {first} gets it");
        batch.Put(Epochs.Grant(known, resource, first, record is null ? "first owner" : record.Reason));
    }

    private Ownership? Record(ServiceSpec service) =>
        known.State.Ownerships.TryGetValue(ResourceId.Service(service.Name), out var record) ? record.Value : null;

    private (Verdict Verdict, string Why) Judge(ServiceSpec service, Owner owner)
    {
        var (verdict, why) = judge.Judge(ResourceId.Service(service.Name), owner);
        if (verdict == Verdict.Stays && VolumeFails(service, owner.Node) is { } failure) return (Verdict.ShouldGo, failure);
        if (verdict == Verdict.Stays && known.LiveInstance(owner.Node, service.Name) is { Ban: not Ban.None } banned)
            return (Verdict.ShouldGo, $"it cannot run there: {banned.Detail}");
        // A rule of the file outweighs any stickiness; a preference is no reason to move without failback.
        if (verdict == Verdict.Stays && violations.GetValueOrDefault(service.Name) is { } violation) return (Verdict.ShouldGo, violation);
        if (verdict == Verdict.Stays && PreferredIsBack(service, owner)) return (Verdict.ShouldGo, "failback to a preferred node");
        return (verdict, why);
    }

    // What depends on it and was told to leave the node too ends there first; until then it serves on as the owner.
    private bool IsStillNeeded(ServiceSpec service, NodeName node, DecisionBatch batch) => known.Rules.StopInReverse
        && known.Spec!.Services.Values.Any(dependent => dependent.DependsOn.Contains(service.Name) && known.LiveInstance(node, dependent.Name) is { MayEnd: true } && !IsToBeOn(dependent, node, batch));

    private bool IsToBeOn(ServiceSpec service, NodeName node, DecisionBatch batch) =>
        (service.Activity == Activity.SingleActive && batch.After(service.Resource)?.Current?.Node == node)
        || ((service.Activity == Activity.Spread || RedundancyPolicy.Of(service).StandbyRuns) && known.State.Assignments.TryGetValue(service.Name, out var assignment) && assignment.Value.Nodes.Contains(node));

    // It cannot run where what it works on cannot be written.
    private string? VolumeFails(ServiceSpec service, NodeName node)
    {
        foreach (var mount in service.Mounts)
        {
            var resource = ResourceId.Volume(mount.Volume);
            if (known.State.Ownerships.TryGetValue(resource, out var record) && record.Value.Current is { } writer && writer.Node == node
                && judge.Judge(resource, writer) is (Verdict.ShouldGo, var why)) return $"{resource} there: {why}";
        }
        return null;
    }

    private bool PreferredIsBack(ServiceSpec service, Owner owner)
    {
        if (!service.Placement.Failback) return false;
        foreach (var node in service.Placement.Prefer)
        {
            if (node == owner.Node) return false;
            if (Suits(service, node) == 0 && memory.SteadyFor(node) > steadyForFailback) return true;
        }
        return false;
    }

    /// <summary>Where an operator wants it, when that can be; a wish that cannot be fulfilled is refused.</summary>
    private NodeName? Wish(ServiceSpec service, Owner owner, Verdict verdict, DecisionBatch batch)
    {
        if (!known.State.Moves.TryGetValue(ResourceId.Service(service.Name), out var move)) return null;
        if (owner.Node == move.Value.To && verdict == Verdict.Stays)
            batch.Delete(move, AnnouncementKind.MoveFulfilled, $"{service.Name} is on {owner.Node}");
        else if (Best(service, owner.Node, move.Value.To) != move.Value.To)
            batch.Delete(move, AnnouncementKind.MoveRefused, $"{move.Value.To} cannot have {service.Name} now");
        else return move.Value.To;
        return null;
    }

    private NodeName? Best(ServiceSpec service, NodeName? except, NodeName? wish)
    {
        var before = placer.Where(service.Name).Count;
        // The owner of a following service is one of its assigned nodes, where there is a fit one.
        NodeName? standby = placer.Where(service.Name).Where(node => node != except && Suits(service, node) is not null)
            .OrderBy(node => node != wish).ThenBy(node => Suits(service, node)).Select(node => (NodeName?)node).FirstOrDefault();
        if (standby is not null && (wish is null || wish == standby)) return standby;
        if (wish is not null) placer.Fill(service, [], before + 1, node => node == wish ? Suits(service, node) : null);
        placer.Fill(service, [], before + 1, node => node == except ? null : Suits(service, node));
        var where = placer.Where(service.Name);
        return where.Count > before ? where[^1] : standby;
    }

    /// <summary>Null: cannot own it. 0: nothing speaks against it.</summary>
    private int? Suits(ServiceSpec service, NodeName node)
    {
        if (!judge.MayOwn(node) || known.IsBanned(service.Name, node) || replicas.Against(service, node) is not { } behind) return null;
        var against = behind + (memory.FailedLately(ResourceId.Service(service.Name), node) || memory.Failures.IsExhausted(service, node) ? 4 : 0);
        if (RedundancyPolicy.Of(service).StandbyRuns && known.LiveInstance(node, service.Name) is not { Status: InstanceStatus.Running }) against += 2;
        foreach (var mount in service.Mounts)
        {
            if (known.ServiceOf(ResourceId.Volume(mount.Volume)) is not { } volume || replicas.Against(volume, node) is not { } lacks) return null;
            against += lacks + (memory.FailedLately(volume.Resource, node) ? 4 : 0) + (known.LiveInstance(node, volume.Name) is { Status: InstanceStatus.Running } ? 0 : 2);
        }
        if (known.ModeOf(node) == NodeMode.Quarantined) against += 8;
        return against;
    }

    /// <summary>
    /// After a restore of the store the record may not name the last owner: what does not end with its lease may run anywhere.
    /// </summary>
    private bool IsUnknown(ServiceSpec service, Ownership? record, DecisionBatch batch)
    {
        if (service.Requires != Requirement.Fencing || (record?.LastEpoch.Incarnation ?? 1) >= known.State.Incarnation) return false;
        var some = false;
        foreach (var node in known.Spec!.Nodes.Values.Where(node => node.Role == NodeRole.Full)) some |= fences.MayStillAct(service, node.Name, batch);
        return some;
    }
}

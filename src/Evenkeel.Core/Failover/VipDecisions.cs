using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// Who shall hold which VIP. A group moves as one. Owners stay while they can (no preemption); a lost one is replaced by the
/// candidate that speaks against least, holds the fewest VIPs, and comes first by name.
/// </summary>
public sealed class VipDecisions(Knowledge known, ControllerMemory memory, OwnerJudge judge)
{
    private sealed record Member(ResourceId Resource, VipSpec Vip, Ownership? Record, Verdict Verdict, string Why);

    public void Decide(DecisionBatch batch, bool settled)
    {
        var spec = known.Spec!;
        var load = spec.Nodes.Keys.ToDictionary(node => node, _ => 0);
        List<List<Member>> groups = [.. spec.Vips.Values.GroupBy(vip => vip.Group ?? " " + vip.Name, StringComparer.Ordinal)
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => group.OrderBy(vip => vip.Name, StringComparer.Ordinal).Select(Look).ToList())];
        foreach (var member in groups.SelectMany(group => group))
            if (member.Verdict == Verdict.Stays && member.Record?.Current is { } owner) load[owner.Node]++;
        foreach (var group in groups)
        {
            if (batch.IsFull) return;
            Decide(group, batch, load, settled);
        }
        foreach (var (resource, record) in known.State.Ownerships)
            if (resource.Kind == "vip" && record.Value.Current is not null && !spec.Vips.ContainsKey(resource.Name) && !batch.IsFull)
                batch.Put(Epochs.Nobody(record.Value, "the VIP was taken out of the file"));
    }

    private Member Look(VipSpec vip)
    {
        var resource = ResourceId.Vip(vip.Name);
        var record = known.State.Ownerships.TryGetValue(resource, out var found) ? found.Value : null;
        var (verdict, why) = record is null ? (Verdict.MustGo, "first owner")
            : record.Current is { } owner ? judge.Judge(resource, owner) : (Verdict.MustGo, "nobody owned it");
        if (record?.Current is { } judged) memory.Judged(resource, judged, verdict, why);
        return new Member(resource, vip, record, verdict, why);
    }

    private void Decide(List<Member> group, DecisionBatch batch, Dictionary<NodeName, int> load, bool settled)
    {
        var (target, planned) = Target(group, batch, load, settled);
        foreach (var member in group)
        {
            var owner = member.Record?.Current;
            if (target is not { } to)
            {
                // Nobody can have it. An owner that must not act is told so; one that is merely lost may come back to it.
                if (owner is not null && member.Verdict == Verdict.MustGo && known.IsAlive(owner.Node) && known.ModeOf(owner.Node) == NodeMode.Maintenance)
                    batch.Put(Epochs.Nobody(member.Record!, $"{member.Why}, and no other node can have it"));
                continue;
            }
            if (owner?.Node == to && member.Verdict != Verdict.MustGo) continue;
            if (owner?.Node == to && !memory.MayTryAgain(member.Resource, to)) continue;
            load[to]++;
            batch.Put(Epochs.Grant(known, member.Resource, to, planned ?? (member.Verdict == Verdict.Stays ? "its group is there" : member.Why)));
        }
    }

    private (NodeName? To, string? Planned) Target(List<Member> group, DecisionBatch batch, Dictionary<NodeName, int> load, bool settled)
    {
        foreach (var member in group)
        {
            if (!known.State.Moves.TryGetValue(member.Resource, out var move)) continue;
            var to = move.Value.To;
            if (group.All(other => other.Record?.Current?.Node == to && other.Verdict == Verdict.Stays))
                batch.Delete(move, AnnouncementKind.MoveFulfilled, $"{member.Resource} is on {to}");
            else if (judge.MayOwnVip(to) && !group.Any(other => judge.IsBetterServedElsewhere(other.Resource, to))) return (to, "moved by an operator");
            else batch.Delete(move, AnnouncementKind.MoveRefused, $"{to} cannot have {member.Resource} now");
        }
        var standing = group.Where(member => member.Verdict == Verdict.Stays && member.Record?.Current is not null)
            .GroupBy(member => member.Record!.Current!.Node).OrderByDescending(on => on.Count()).ThenBy(on => on.Key).FirstOrDefault();
        if (standing is not null) return (standing.Key, null);
        if (!settled && group.All(member => member.Record is null)) return (null, null);
        var prefer = group.SelectMany(member => member.Vip.Prefer).ToList();
        var best = known.Spec!.Nodes.Keys.Where(judge.MayOwnVip)
            .OrderBy(node => known.ModeOf(node) == NodeMode.Quarantined)
            .ThenBy(node => group.Any(member => memory.FailedLately(member.Resource, node)))
            .ThenBy(node => judge.ShutOn(node, group.Select(member => member.Vip.Name)))
            // After a restore owners are unknown; whoever still holds it is disturbed least.
            .ThenBy(node => !group.Any(member => known.FactsOf(node)!.Held.Any(held => held.Resource == member.Resource)))
            .ThenBy(node => prefer.IndexOf(node) is var index && index < 0 ? prefer.Count : index)
            .ThenBy(node => load[node]).ThenBy(node => node)
            .Select(node => (NodeName?)node).FirstOrDefault();
        return (best, null);
    }
}

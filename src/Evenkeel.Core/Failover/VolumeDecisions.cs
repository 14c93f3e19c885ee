using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// Who writes a volume, and which nodes serve its legs. A volume follows the service that works on it: that one's node was chosen
/// among those where the volume may be written. A planned move takes it from its writer first; a lost writer is replaced at once.
/// </summary>
public sealed class VolumeDecisions(Knowledge known, ControllerMemory memory, OwnerJudge judge, FenceDecisions fences, ReplicaChoice replicas)
{
    /// <summary>After the services: their owners of this batch count.</summary>
    public void Decide(DecisionBatch batch, bool settled)
    {
        foreach (var volume in known.Services.Values.Where(service => service.IsVolume).OrderBy(volume => volume.Name, StringComparer.Ordinal))
        {
            if (batch.IsFull) return;
            Assign(volume, batch);
            if (!settled || !GoOnBehind(volume, batch)) Own(volume, batch);
        }
        foreach (var (resource, record) in known.State.Ownerships)
            if (!batch.IsFull && resource.Kind == "volume" && record.Value.Current is not null && known.ServiceOf(resource) is null)
                batch.Put(Epochs.Nobody(record.Value, "the volume was taken out of the file"));
    }

    // A leg is where its disk is: it is served while its node may run anything.
    private void Assign(ServiceSpec volume, DecisionBatch batch)
    {
        List<NodeName> nodes = [.. LegsOf(volume).Where(node => known.Spec!.Nodes.ContainsKey(node) && known.ModeOf(node) != NodeMode.Maintenance).Order()];
        var current = known.State.Assignments.TryGetValue(volume.Name, out var record) ? record.Value.Nodes : [];
        if (!nodes.SequenceEqual(current)) batch.Put(new Assignment(volume.Name, nodes) { Reason = "its legs are there" });
    }

    // With no leg in sync left: at the asynchronous one that the last writer kept within its backlog, where the file accepts what is lost.
    // The set is written anew, so that whatever the last writer still acknowledges is within that backlog too: it could leave the leg
    // behind only with a record of its own, which now conflicts. Whoever owns it next is decided by the new set.
    private bool GoOnBehind(ServiceSpec service, DecisionBatch batch)
    {
        var volume = ((VolumeDriverSpec)service.Driver).Volume;
        if (!volume.AcceptLoss || known.UserOf(volume.Name) is null || known.SyncSetOf(service.Name)?.Value is not { Data: not null, Following.Count: > 0 } set
            || replicas.IsUnknown(service) || !set.Members.All(IsLost)) return false;
        if (set.Following.FirstOrDefault(node => volume.IsAsynchronous(node) && judge.MayOwn(node)
            && known.LiveInstance(node, service.Name) is { Status: InstanceStatus.Running, Epoch: null, Position: > 0, Replication.Data: { } data } && data == set.Data) is not { Value: not null } to) return false;
        batch.Put(set with { Members = [to], Following = null, Reason = $"no leg in sync is left: {to} goes on with an asynchronous one, which may lack the last {volume.Backlog} bytes that were acknowledged" });
        return true;
    }

    // Not one that is away for a moment: what is lost by going on without it cannot be had back.
    private bool IsLost(NodeName node) => !known.IsAlive(node) && !known.IsAway(node)
        && known.Awake - (known.Peers.Find(node)?.Since ?? TimeSpan.Zero) >= 10 * known.Timings.Detection;

    private void Own(ServiceSpec volume, DecisionBatch batch)
    {
        var resource = volume.Resource;
        var record = known.State.Ownerships.TryGetValue(resource, out var found) ? found.Value : null;
        fences.AskForStuck(volume, batch);
        if (record is not null && replicas.IsUnknown(volume) && record.LastEpoch.Incarnation < known.State.Incarnation)
        {
            batch.Put(Epochs.Nobody(record, "the store was restored: nobody knows which leg has every write") with { LastEpoch = Epochs.Next(known, resource) });
            return;
        }
        var user = known.UserOf(resource.Name);
        var wish = user is null ? null : batch.After(user.Resource);
        var to = wish?.Current?.Node ?? wish?.Intended;
        if (record?.Current is not { } owner)
        {
            if (record is null || fences.GivenBack(volume, record, batch)) Grant(volume, to, record is null ? "first writer" : record.Reason, batch);
            return;
        }
        var (verdict, why) = judge.Judge(resource, owner);
        memory.Judged(resource, owner, verdict, why);
        if (verdict != Verdict.MustGo)
        {
            if (user is null) batch.Put(Epochs.Nobody(record, "no service works on it any more"));
            else if (to is { } next && next != owner.Node) batch.Put(Epochs.Nobody(record, $"{user.Name} moves to {next}", next));
            return;
        }
        var acts = fences.MayStillAct(volume, owner.Node, batch);
        if (known.IsAlive(owner.Node) && (acts || known.ModeOf(owner.Node) == NodeMode.Maintenance)) batch.Put(Epochs.Nobody(record, why));
        else if (!acts && (to != owner.Node || memory.MayTryAgain(resource, owner.Node))) Grant(volume, to, why, batch);
    }

    private void Grant(ServiceSpec volume, NodeName? to, string why, DecisionBatch batch)
    {
        if (to is { } node && judge.MayOwn(node) && replicas.Against(volume, node) is not null) batch.Put(Epochs.Grant(known, volume.Resource, node, why));
    }

    private static IEnumerable<NodeName> LegsOf(ServiceSpec volume) => ((VolumeDriverSpec)volume.Driver).Volume.Legs.Select(leg => leg.Node);
}

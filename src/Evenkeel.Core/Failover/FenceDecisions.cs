using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// Which nodes must be cut off before what they may still run goes elsewhere. A short silence is no reason to switch a server
/// off: a lost node gets the time that an agent may be away, and one that is heard again before anything was done is spared.
/// </summary>
public sealed class FenceDecisions(Knowledge known)
{
    private TimeSpan Patience => known.Timings.AgentAbsence > 4 * known.Timings.Detection ? known.Timings.AgentAbsence : 4 * known.Timings.Detection;

    /// <summary>Whether the node may still run the service, for all that is known. Asks for its fencing where only that can tell.</summary>
    public bool MayStillAct(ServiceSpec service, NodeName node, DecisionBatch batch)
    {
        if (!known.Rules.FenceBeforeGrant || known.FenceOf(node) is { Phase: FencePhase.Confirmed }) return false;
        if (known.IsAlive(node) && known.LiveInstance(node, service.Name) is { Status: InstanceStatus.Stuck } stuck)
        {
            Ask(node, $"{service.Name} could not be stopped: {stuck.Detail}", batch);
            return true;
        }
        if (service.Requires != Requirement.Fencing) return false;
        if (known.IsAlive(node)) return !SaysItIsOver(service, node);
        // Who takes a node out of the file answers for it.
        if (!known.Spec!.Nodes.ContainsKey(node)) return false;
        if (known.Awake - (known.Peers.Find(node)?.Since ?? TimeSpan.Zero) > Patience) Ask(node, $"it is lost, and may still run {service.Name}", batch);
        return true;
    }

    // It knows that it is not the owner any more, so that it starts nothing after having said so.
    private bool SaysItIsOver(ServiceSpec service, NodeName node)
    {
        var resource = service.Resource;
        return known.FactsOf(node) is { } facts && facts.Guard != default && facts.Held.All(held => held.Resource != resource)
            && known.LiveInstance(node, service.Name) is null or { Status: InstanceStatus.Stopped or InstanceStatus.Failed }
            && known.HasSeen(node, known.State.Ownerships.TryGetValue(resource, out var record) ? record.Revision : 0);
    }

    /// <summary>The owner before holds no lease and runs nothing of it any more, or is lost (then the voters' waits protect).</summary>
    public bool GivenBack(ServiceSpec service, Ownership record, DecisionBatch batch)
    {
        if (record.Previous is { } before && MayStillAct(service, before, batch)) return false;
        if (record.Previous is not { } previous || !known.IsAlive(previous) || known.FactsOf(previous) is not { } facts) return true;
        if (facts.Held.Any(held => held.Resource == record.Resource)) return false;
        return known.LiveInstance(previous, service.Name) is not { } instance || instance.Epoch is null || instance.Status is InstanceStatus.Stopped or InstanceStatus.Failed;
    }

    /// <summary>Asks for the fencing of every node on which the service could not be stopped.</summary>
    public void AskForStuck(ServiceSpec service, DecisionBatch batch)
    {
        foreach (var node in known.Spec!.Nodes.Keys)
            if (known.LiveInstance(node, service.Name) is { Status: InstanceStatus.Stuck }) MayStillAct(service, node, batch);
    }

    /// <summary>Ends what is over: the node has come back, is heard again, or left the file.</summary>
    public void Decide(DecisionBatch batch)
    {
        foreach (var (node, record) in known.State.Fences)
        {
            if (batch.IsFull) return;
            if (!known.Spec!.Nodes.ContainsKey(node)) batch.Delete(record, $"{node} left the file");
            else if (record.Value.Incarnation != known.State.Incarnation) batch.Delete(record, $"{node}: the store was restored since");
            else if (IsBack(node, record.Value)) batch.Delete(record, $"{node} is back");
            else if (record.Value.Phase == FencePhase.Asked && known.FactsOf(node) is { Ready: true } && known.IsSpared(record.Value)) batch.Delete(record, $"{node} is heard again: it is not cut off");
        }
    }

    private bool IsBack(NodeName node, FenceRecord record) =>
        record.Phase == FencePhase.Confirmed && known.IsAlive(node) && known.FactsOf(node) is { } facts && facts.Guard != default && facts.Guard != record.Session;

    private void Ask(NodeName node, string why, DecisionBatch batch)
    {
        if (known.FenceOf(node) is not null || known.Spec!.Nodes[node].Fence is null) return;
        batch.Put(new FenceRecord(node, known.State.Revision, known.State.Incarnation, FencePhase.Asked) { Session = known.FactsOf(node)?.Guard ?? default, Reason = why });
    }
}

using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>The next epoch of a resource: above everything committed and everything that any node reports (safety rule 2).</summary>
public static class Epochs
{
    public static Epoch Next(Knowledge known, ResourceId resource)
    {
        var highest = known.State.Ownerships.TryGetValue(resource, out var record) ? record.Value.LastEpoch : Epoch.None;
        foreach (var node in known.Spec!.Nodes.Keys)
        {
            if (known.FactsOf(node) is not { } facts) continue;
            foreach (var lease in facts.Held.Concat(facts.Ended))
                if (lease.Resource == resource && lease.Epoch > highest) highest = lease.Epoch;
        }
        if (!known.Rules.EpochGrows && highest != Epoch.None && highest.Incarnation >= known.State.Incarnation) return highest;
        return highest.Incarnation < known.State.Incarnation ? new Epoch(known.State.Incarnation, 1) : highest.Next;
    }

    /// <summary>The record that grants the resource to the node's present guard session under a new epoch.</summary>
    public static Ownership Grant(Knowledge known, ResourceId resource, NodeName to, string why)
    {
        var epoch = Next(known, resource);
        var before = known.State.Ownerships.TryGetValue(resource, out var record) ? record.Value : null;
        return new Ownership(resource, new Owner(to, known.FactsOf(to)!.Guard, epoch), epoch)
        {
            Previous = before?.Current?.Node ?? before?.Previous,
            Reason = why,
        };
    }

    /// <summary>The record by which nobody owns the resource; the node that had it gives it back.</summary>
    public static Ownership Nobody(Ownership before, string why, NodeName? intended = null) =>
        before with { Current = null, Previous = before.Current?.Node ?? before.Previous, Reason = why, Intended = intended };
}

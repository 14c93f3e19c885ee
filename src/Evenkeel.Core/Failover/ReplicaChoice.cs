using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// Which node's copy of the data may become the active one. Synchronous: only one of the sync set. Asynchronous: the one that
/// lacks least. After the store was restored nobody knows: then every copy is looked at, while none is active.
/// </summary>
public sealed class ReplicaChoice(Knowledge known)
{
    /// <summary>Null: it must not. 0: nothing speaks against it; else the lower the better.</summary>
    public int? Against(ServiceSpec service, NodeName node)
    {
        if (service.Driver is VolumeDriverSpec { Volume: var volume } && !IsWritableOn(volume, node)) return null;
        if (!service.IsReplicated || service.Redundancy == Redundancy.Cold || !known.Rules.PromoteFromSyncSet) return 0;
        if (IsUnknown(service)) return AgainstOfAll(service, node);
        if (known.SyncSetOf(service.Name)?.Value is not { } set) return 0;
        int? asMember = set.Members.Contains(node) ? 0 : null;
        if (service.IsSynchronous || set.Data is null) return asMember;
        // Who wrote last has what counts, whether or not its agent has looked at it yet.
        if (asMember is not null && known.LiveInstance(node, service.Name)?.Replication is null) return asMember;
        return Behind(Copies(service), node, ((PostgreSqlDriverSpec)service.Driver).MostLag);
    }

    /// <summary>The sync set is of before a restore of the store: it may name who is not in sync any more.</summary>
    public bool IsUnknown(ServiceSpec service) => service.IsReplicated && service.Redundancy != Redundancy.Cold && known.Rules.PromoteFromSyncSet
        && (known.SyncSetOf(service.Name)?.Value is { } set ? set.Epoch.Incarnation < known.State.Incarnation : known.State.Incarnation > 1);

    // The writer has a leg of its own, and reaches a copy of every byte. A witness (or any node without a leg) only votes.
    private bool IsWritableOn(VolumeSpec volume, NodeName node) => volume.Legs.Any(leg => leg.Node == node)
        && (known.SyncSetOf(ResourceId.Volume(volume.Name).Value)?.Value is not { Data: not null } set || !known.Rules.PromoteFromSyncSet
            || volume.IsWholeOn([.. set.Members.Where(known.IsAlive)]) || set.Epoch.Incarnation < known.State.Incarnation);

    private sealed record Copy(NodeName Node, int Timeline, long Position);

    // Copies of other data than the set's do not count; the last known position of a lost node does, for the limit.
    private IReadOnlyList<Copy> Copies(ServiceSpec service) =>
    [
        .. from node in known.Spec!.Nodes.Keys
           let instance = known.FactsOf(node)?.Instances.FirstOrDefault(instance => instance.Service == service.Name)
           where instance?.Replication is { Data: { } data } && instance.Position is not null
               && (known.SyncSetOf(service.Name)?.Value.Data is not { } counts || counts == data)
           select new Copy(node, instance.Replication!.Timeline, instance.Position!.Value),
    ];

    // Where nowhere is any data, the first owner makes it.
    private int? AgainstOfAll(ServiceSpec service, NodeName node) =>
        Everything(service) is not { } all ? null : all.Count == 0 ? 0 : Behind(all, node, most: 0);

    /// <summary>Every node's copy, when all are here and none is active; null when one could have more.</summary>
    private IReadOnlyList<Copy>? Everything(ServiceSpec service)
    {
        var resource = service.Resource;
        foreach (var node in known.Spec!.Nodes.Values.Where(node => node.Role == NodeRole.Full))
        {
            if (!known.IsAlive(node.Name) || known.FactsOf(node.Name) is not { } facts || facts.Held.Any(held => held.Resource == resource)) return null;
            if (service.Driver is VolumeDriverSpec { Volume.Legs: var legs } && legs.All(leg => leg.Node != node.Name)) continue;
            if (known.LiveInstance(node.Name, service.Name) is not { Replication: not null, Epoch: null }) return null;
        }
        return Copies(service);
    }

    private int? Behind(IReadOnlyList<Copy> copies, NodeName node, long? most)
    {
        if (copies.FirstOrDefault(copy => copy.Node == node) is not { } own) return null;
        var best = copies.OrderByDescending(copy => copy.Timeline).ThenByDescending(copy => copy.Position).First();
        if (most is { } limit && (own.Timeline < best.Timeline || best.Position - own.Position > limit)) return null;
        return 16 * copies.Count(copy => known.IsAlive(copy.Node) && (copy.Timeline, copy.Position).CompareTo((own.Timeline, own.Position)) > 0);
    }
}

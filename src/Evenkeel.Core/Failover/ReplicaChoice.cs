using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// Which node's copy of the data may become the active one. Synchronous: only one of the sync set. Asynchronous: the one that
/// lacks least. Before any is committed: the furthest that a node found on its disk. By a resource agent: the one with that agent's
/// highest promotion score. After the store was restored nobody knows: then every copy is looked at, while none is active.
/// </summary>
public sealed class ReplicaChoice(Knowledge known)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(3);
    // A node that is down when a database is first made may have one; but with nothing anywhere else, it is not waited for for ever.
    private static readonly TimeSpan patienceForFound = TimeSpan.FromSeconds(30);
    private readonly Dictionary<string, (long Revision, TimeSpan At)> freeSince = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TimeSpan> askedSince = new(StringComparer.Ordinal);

    /// <summary>Null: it must not. 0: nothing speaks against it; else the lower the better.</summary>
    public int? Against(ServiceSpec service, NodeName node)
    {
        if (service.Driver is VolumeDriverSpec { Volume: var volume } && !IsWritableOn(volume, node)) return null;
        if (service.IsFollowed) return AgainstOfScores(service, node);
        if (!service.IsReplicated || !known.Rules.PromoteFromSyncSet) return 0;
        if (service.Redundancy == Redundancy.Cold) return FoundData.IsAsked(known, service) ? AgainstOfFound(service, node) : 0;
        if (IsUnknown(service)) return AgainstOfAll(service, node);
        if (known.SyncSetOf(service.Name)?.Value is not { } set) return FoundData.IsAsked(known, service) ? AgainstOfFound(service, node) : 0;
        int? asMember = set.Members.Contains(node) ? 0 : null;
        if (set.IsQuorum) return asMember is null ? null : AgainstOfQuorum(service, set, node);
        if (service.IsSynchronous || set.Data is null) return asMember;
        // Who wrote last has what counts, whether or not its agent has looked at it yet.
        if (asMember is not null && known.LiveInstance(node, service.Name)?.Replication is null) return asMember;
        // A node that comes back has what it had, and has not looked yet: the limit is by what it last said.
        return Behind(Copies(service), node, ((PostgreSqlDriverSpec)service.Driver).MostLag, Copies(service, asLastSaid: true));
    }

    // What a standby by a resource agent has, only that agent knows: as in Pacemaker its score decides, none counts as a negative one,
    // and one that does not run has none. Stock agents give a score when they are started, or once they have caught up.
    private int? AgainstOfScores(ServiceSpec service, NodeName node)
    {
        var scores = known.Spec!.Nodes.Keys.Where(other => known.LiveInstance(other, service.Name)?.Epoch is null).ToDictionary(other => other, other => ScoreOf(service, other));
        var own = ScoreOf(service, node);
        if (own >= 0) return 16 * scores.Count(other => other.Key != node && other.Value > own);
        // The first owner is chosen before anything runs: nobody has written anything yet.
        return known.State.Ownerships.ContainsKey(service.Resource) || own < InstanceFacts.NoPromotionScore || scores.Values.Any(score => score >= 0) ? null : 0;
    }

    // Agents before version 5 of the beats do not say; what runs there may be promoted as it was by them.
    private int? ScoreOf(ServiceSpec service, NodeName node) =>
        known.LiveInstance(node, service.Name) is { Status: InstanceStatus.Running } instance ? instance.PromotionScore ?? 0 : null;

    /// <summary>Nobody knows which standby has every write before enough of them were asked: first nobody owns it, so that they follow nobody any more.</summary>
    public bool MustAsk(ServiceSpec service) => service.IsReplicated && known.Rules.PromoteFromSyncSet && known.Rules.AskTheDetached && known.SyncSetOf(service.Name)?.Value is { IsQuorum: true };

    // With k of n, a write that was acknowledged is on one at least of any n - k + 1. Those have left the former owner, so that its
    // commits find k no more: whatever it still acknowledges, they have. The furthest of them has everything.
    private int? AgainstOfQuorum(ServiceSpec service, SyncSet set, NodeName node)
    {
        var record = known.State.Ownerships.GetValueOrDefault(ResourceId.Service(service.Name));
        var free = record.Value is { Current: null };
        List<NodeName> here = [.. set.Standbys.Where(standby => known.LiveInstance(standby, service.Name) is { Status: InstanceStatus.Running, Health: not Health.Unhealthy, Epoch: null })];
        var enough = !known.Rules.AskEnough || here.Count >= set.Ask;
        if (node == set.Members[0]) return !free || !enough || WaitedFor(service, record.Revision) ? 0 : null;
        if (!free && known.Rules.AskTheDetached) return enough && here.Contains(node) ? 0 : null;
        var asked = Copies(service).Where(copy => here.Contains(copy.Node) && (!known.Rules.AskTheDetached || IsDetached(service, copy.Node, record.Revision))).ToList();
        return asked.Count < (known.Rules.AskEnough ? set.Ask : 1) ? null : Behind(asked, node, most: 0);
    }

    private bool IsDetached(ServiceSpec service, NodeName node, long revision) =>
        known.HasSeen(node, revision) && known.LiveInstance(node, service.Name)?.Replication is { Upstream: null, Streaming: false };

    // The former owner has everything too, but it had to go: it is asked again when the others do not come to say what they have.
    private bool WaitedFor(ServiceSpec service, long revision)
    {
        if (!freeSince.TryGetValue(service.Name, out var since) || since.Revision != revision) freeSince[service.Name] = since = (revision, known.Awake);
        return known.Awake - since.At > patience;
    }

    /// <summary>The sync set is of before a restore of the store: it may name who is not in sync any more.</summary>
    public bool IsUnknown(ServiceSpec service) => service.IsReplicated && service.Redundancy != Redundancy.Cold && known.Rules.PromoteFromSyncSet
        && (known.SyncSetOf(service.Name)?.Value is { } set ? set.Epoch.Incarnation < known.State.Incarnation : known.State.Incarnation > 1);

    // The writer has a leg of its own, and reaches a copy of every byte. A witness (or any node without a leg) only votes. What is empty is
    // begun where it is in sync.
    private bool IsWritableOn(VolumeSpec volume, NodeName node) => volume.Legs.Any(leg => leg.Node == node)
        && (known.SyncSetOf(ResourceId.Volume(volume.Name).Value)?.Value is not { Data: not null } set ? !volume.IsAsynchronous(node) : !known.Rules.PromoteFromSyncSet
            || volume.IsWholeOn([.. set.Members.Where(known.IsAlive)]) || set.Epoch.Incarnation < known.State.Incarnation);

    private sealed record Copy(NodeName Node, string Data, int Timeline, long Position);

    // Copies of other data than the set's do not count; the last known position of a lost node does, for the limit.
    private IReadOnlyList<Copy> Copies(ServiceSpec service, bool asLastSaid = false) =>
    [
        .. from node in known.Spec!.Nodes.Keys
           let now = known.FactsOf(node)?.Instances.FirstOrDefault(instance => instance.Service == service.Name)
           let instance = now?.Replication is null && asLastSaid ? known.Peers.Find(node)?.CopyOf(service.Name) : now
           where instance?.Replication is { Data: { } data } && instance.Position is not null
               && (known.SyncSetOf(service.Name)?.Value.Data is not { } counts || counts == data)
           select new Copy(node, instance.Replication!.Data!, instance.Replication!.Timeline, instance.Position!.Value),
    ];

    // Where nowhere is any data, the first owner makes it.
    private int? AgainstOfAll(ServiceSpec service, NodeName node) =>
        Everything(service) is not { } all || Differ(all) || LackedSome(service, node, all) ? null : all.Count == 0 ? 0 : Behind(all, node, most: 0);

    // A leg that was written after the answer counts as far as those that it was behind. If none was written as late as it, it was the writer's.
    private static bool LackedSome(ServiceSpec service, NodeName node, IReadOnlyList<Copy> all) => service.HasAsynchronousLeg(node)
        && all.FirstOrDefault(copy => copy.Node == node) is var own && all.Any(copy => copy.Node != node && copy.Timeline >= (own?.Timeline ?? 0));

    // As above, but there never was an owner: with no data anywhere, a node that is not here is waited for for a while only.
    private int? AgainstOfFound(ServiceSpec service, NodeName node)
    {
        var copies = Copies(service);
        var missing = FoundData.Missing(known, service);
        if (missing.Count == 0) askedSince.Remove(service.Name);
        else if (askedSince.TryAdd(service.Name, known.Awake)) return null;
        if (Differ(copies) || (missing.Count > 0 && (copies.Count > 0 || missing.Any(known.IsAlive) || known.Awake - askedSince[service.Name] < patienceForFound))) return null;
        return copies.Count == 0 ? 0 : Behind(copies, node, most: 0);
    }

    // Which of two databases is meant nobody but a person can say.
    private static bool Differ(IReadOnlyList<Copy> copies) => copies.Select(copy => copy.Data).Distinct(StringComparer.Ordinal).Count() > 1;

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

    /// <param name="limitOf">Copies that the limit is by; null: the same ones.</param>
    private int? Behind(IReadOnlyList<Copy> copies, NodeName node, long? most, IReadOnlyList<Copy>? limitOf = null)
    {
        if (copies.FirstOrDefault(copy => copy.Node == node) is not { } own) return null;
        var best = (limitOf ?? copies).OrderByDescending(copy => copy.Timeline).ThenByDescending(copy => copy.Position).First();
        if (most is { } limit && (own.Timeline < best.Timeline || best.Position - own.Position > limit)) return null;
        return 16 * copies.Count(copy => known.IsAlive(copy.Node) && (copy.Timeline, copy.Position).CompareTo((own.Timeline, own.Position)) > 0);
    }
}

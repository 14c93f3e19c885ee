using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.Loop.Replication;

/// <summary>
/// The owner's account of who has every acknowledged write (safety rule 8). Before it promotes it commits that it is alone;
/// it lets commits wait for a standby first and commits the standby's name when that has everything; it commits that a lost
/// one is out before commits stop waiting for it. Each of its transactions compares the ownership and the set's revision.
/// A volume that is being taken from its writer is still written to the end: its unmount, and before it whoever works on it, wait for
/// every leg. So while nobody owns it, its last owner, under its lease, goes on putting lost legs out, and does nothing else. That is as
/// safe as before: the next grant compares the set's revision too, so either the grant or the narrowing comes first, and the other fails.
/// </summary>
public sealed class ReplicationSide(Knowledge known, GuardSide guard, CommitDesk desk)
{
    private readonly Dictionary<string, OwnedData> owned = new(StringComparer.Ordinal);

    // A standby's connection may break and come back at once; a node that is silent is not waited for.
    private TimeSpan Patience => 2 * known.Timings.Detection;

    /// <summary>Every step, before the instances are looked at.</summary>
    public void OnTick(StateCodec codec, IReadOnlyDictionary<string, LocalInstance> instances)
    {
        if (!known.HasState || known.Spec is not { } spec) return;
        foreach (var service in known.Services.Values.Where(service => service.IsReplicated))
        {
            var resource = service.Resource;
            if (EpochOf(service) is not { } epoch)
            {
                owned.Remove(service.Name);
                continue;
            }
            if (!owned.TryGetValue(service.Name, out var data) || data.Epoch != epoch) owned[service.Name] = data = new OwnedData(epoch);
            if (data.Proposed || !(IsCommitted(resource, epoch) || IsLeaving(service, epoch))) continue;
            if (Wish(service, data, instances.GetValueOrDefault(service.Name)) is { } wish) Propose(wish, codec, data);
        }
    }

    public void OnDecided(SyncSetProposal proposal, CommitResult result)
    {
        if (!owned.TryGetValue(proposal.Set.Service, out var data) || data.Epoch != proposal.Set.Epoch) return;
        data.Proposed = false;
        if (result.Outcome != CommitOutcome.Committed) return;
        data.Written = result.Revision;
        known.Announce(AnnouncementKind.SyncSetChanged, $"{proposal.Set.Service}: every acknowledged write is on {string.Join(", ", proposal.Set.Members)} ({proposal.Set.Reason})",
            known.Services.GetValueOrDefault(proposal.Set.Service)?.Resource, known.Self, proposal.Set.Epoch, proposal.Set.Service);
    }

    /// <summary>Whether the instance may be brought to its role now. An owner's only once the cluster knows that it is the only one with every write.</summary>
    public bool MayAct(ServiceSpec service, bool active, InstanceFacts facts)
    {
        if (!service.IsReplicated) return true;
        if (active) return owned.TryGetValue(service.Name, out var data) && (Mine(service, data) is not null || !known.Rules.OwnSyncSetFirst);
        if (service.IsVolume) return true;
        // Before there is any data there is nothing to follow; after a restore of the store every copy must be looked at.
        return facts.Status == InstanceStatus.Running || known.SyncSetOf(service.Name)?.Value.Data is not null || known.State.Incarnation > 1;
    }

    /// <summary>The epoch under which this node still writes a volume that is being taken from it; null when it writes none, or owns it.</summary>
    public Epoch? LeavingEpoch(ServiceSpec service) =>
        owned.TryGetValue(service.Name, out var data) && IsLeaving(service, data.Epoch) && Mine(service, data) is not null ? data.Epoch : null;

    /// <summary>What this node's instance shall do with its data.</summary>
    public ReplicationOrder? OrderFor(ServiceSpec service)
    {
        if (service.IsFollowed) return new ReplicationOrder { Upstream = UpstreamOf(service), Others = [.. OthersOf(service, null)] };
        if (!service.IsReplicated) return null;
        var record = known.SyncSetOf(service.Name)?.Value;
        var data = owned.GetValueOrDefault(service.Name);
        return new ReplicationOrder
        {
            Upstream = data is null ? UpstreamOf(service) : null,
            Required = data?.Required ?? [],
            Any = data?.Any,
            Held = data?.Held ?? [],
            // Before the record says that something may have been written under this epoch, nothing is acknowledged.
            Strict = service is { IsSynchronous: true, IsStrict: true } || (IsCold(service) && data is not null && record?.Wrote != data.Epoch),
            Initialise = data is not null && record is null or { Data: null },
            Data = record?.Data,
            Wrote = data is not null && IsCold(service) ? record?.Wrote : null,
            Others = [.. OthersOf(service, record)],
        };
    }

    /// <summary>The record, once the copy shows what this life wrote last; null before.</summary>
    private SyncSet? Mine(ServiceSpec service, OwnedData data) =>
        data.Written is { } written && known.SyncSetOf(service.Name) is { } record && record.Revision == written ? record.Value : null;

    private bool IsCommitted(ResourceId resource, Epoch epoch) =>
        known.State.Ownerships.TryGetValue(resource, out var record) && record.Value.Current is { } owner && owner.Node == known.Self && owner.Epoch == epoch;

    /// <summary>Under which this node keeps the account of the data; null when it is not its to keep.</summary>
    private Epoch? EpochOf(ServiceSpec service) =>
        guard.HeldEpoch(service.Resource) ?? (guard.LeasedEpoch(service.Resource) is { } leased && IsLeaving(service, leased) ? leased : null);

    /// <summary>Nobody owns the volume, and this node was the last to do so, under this epoch.</summary>
    private bool IsLeaving(ServiceSpec service, Epoch epoch) => known.Rules.NarrowWhileLeaving && service.IsVolume
        && known.State.Ownerships.TryGetValue(service.Resource, out var record)
        && record.Value is { Current: null, Previous: { } previous } last && previous == known.Self && last.LastEpoch == epoch;

    /// <summary>The sync set that should be committed next; null when nothing is to be changed. Sets what commits wait for.</summary>
    private SyncSet? Wish(ServiceSpec service, OwnedData data, LocalInstance? local)
    {
        var facts = local?.Facts;
        var record = known.SyncSetOf(service.Name)?.Value;
        var replication = facts?.Replication;
        // It never began to write: its predecessor's set stays as it was.
        if (IsLeaving(service, data.Epoch) && record?.Epoch != data.Epoch) return null;
        if (data.Written is null && (known.Rules.RewriteSyncSet || record?.Epoch != data.Epoch))
        {
            // An agent that restarted goes on with what its former life wrote, and waits for no fewer than that had asked for:
            // a widening of then may still be on its way to the store, and this writing overtakes or undoes it.
            var continues = record is not null && record.Epoch == data.Epoch;
            var quorum = continues && record!.IsQuorum;
            var members = continues ? record!.Members : First(service, record);
            // Of a quorum: what the record promises. A setting for more nodes could let its commits pass by the record's.
            data.Required = quorum ? Sorted(record!.Standbys) : Sorted(members.Concat(continues ? replication?.Required ?? [] : []).Where(node => node != known.Self));
            // A volume's legs that follow, too: nobody may believe less of them than their writer keeps.
            var following = continues ? record!.Following : null;
            data.Held = Sorted((following ?? []).Concat(continues ? HeldOf(replication) : []));
            data.Any = quorum ? QuorumStep.Copies(service, record!.Copies, data.Required.Count) : null;
            return new SyncSet(service.Name, data.Epoch, members)
            {
                Any = continues ? record!.Any : null, Following = following,
                Data = record?.Data, Wrote = record?.Wrote, Reason = continues ? "the agent restarted" : "a new owner",
            };
        }
        if (data.Written is null) data.Written = known.SyncSetOf(service.Name)!.Value.Revision;
        if (Mine(service, data) is not { } mine) return null;
        if (facts is not { Status: InstanceStatus.Running } || facts.Epoch != data.Epoch || replication is null) return null;
        var wrote = IsCold(service) ? data.Epoch : mine.Wrote;
        if (mine.Data is null && replication.Data is { } made) return mine with { Data = made, Wrote = wrote, Reason = "its data was made" };
        if (mine.Wrote != wrote) return mine with { Wrote = wrote, Reason = "it runs" };
        return service.IsSynchronous ? Change(service, data, mine, local!, replication) : null;
    }

    // A standby may not follow a new primary at once, or ever: that one begins alone. A volume's writer waits for every leg of the
    // set from its first write on, so the set stays as it was. Of a volume without data every leg has all there is.
    private IReadOnlyList<NodeName> First(ServiceSpec service, SyncSet? record)
    {
        if (service.Driver is not VolumeDriverSpec { Volume: var volume }) return [known.Self];
        // What is written after the answer is in no set, but where the writer is.
        return Led(WholeOf(volume, service, record).Where(node => node == known.Self || !volume.IsAsynchronous(node)));
    }

    private IEnumerable<NodeName> WholeOf(VolumeSpec volume, ServiceSpec service, SyncSet? record)
    {
        if (record is { Data: not null } && record.Epoch.Incarnation >= known.State.Incarnation) return record.Members;
        var own = known.LiveInstance(known.Self, service.Name);
        // After a restore of the store: the legs that are as far as the one that was chosen.
        return record?.Data is null && own?.Replication?.Data is null ? volume.Legs.Select(leg => leg.Node)
            : volume.Legs.Select(leg => leg.Node).Where(node => node == known.Self || (known.LiveInstance(node, service.Name) is { Replication.Data: not null } other
                && other.Position == own?.Position && other.Replication.Timeline == own?.Replication?.Timeline && other.Replication.Data == own.Replication.Data));
    }

    // Nobody follows: each node has what it had when it was active last, and only its epoch tells whether that is all there is.
    private static bool IsCold(ServiceSpec service) => service is { Driver: PostgreSqlDriverSpec, Redundancy: Redundancy.Cold };

    // Less than a whole copy, or with 'strict' no majority of the legs: then writes wait.
    private static bool MayNarrow(ServiceSpec service, IReadOnlyCollection<NodeName> left) => service.Driver is not VolumeDriverSpec { Volume: var volume }
        || (volume.IsWholeOn(left) && (!volume.Strict || left.Count * 2 > volume.Legs.Count - volume.Asynchronous.Count));

    private SyncSet? Change(ServiceSpec service, OwnedData data, SyncSet mine, LocalInstance local, ReplicationFacts replication)
    {
        List<NodeName> members = [.. mine.Members.Where(node => node != known.Self)];
        // An owner whose lease cannot be renewed must not write in its last moments that it alone has everything: nobody else could
        // be promoted then. Its guard may need longer to end it than the lease lasts.
        var heard = known.HearsVoters;
        if (known.Rules.NarrowUnawaited) data.Unawaited.UnionWith(Unawaited(service, mine, replication));
        data.Unawaited.IntersectWith(members);
        List<NodeName> lost = [.. members.Where(node => IsLost(service, data, node, replication, heard) || data.Unawaited.Contains(node))];
        if ((IsByQuorum(service) || mine.IsQuorum) && known.Rules.NarrowBeforeAcknowledging)
        {
            var step = QuorumStep.Of(service, mine, IsByQuorum(service), lost, [.. Candidates(service, replication).Except(members)]);
            (data.Required, data.Any) = (step.Required, step.Any);
            return step.Now ?? (step.Then is { } then && (!known.Rules.WidenWhenCaughtUp || IsProven(step, local, replication)) ? then : null);
        }
        data.Any = null;
        List<NodeName> joining = IsLeaving(service, data.Epoch) ? [] : [.. Candidates(service, replication).Except(members)
            .Take(Math.Max(0, service.SynchronousCopies - members.Count))];
        data.Required = Sorted(members.Concat(joining));
        var following = service.Driver is VolumeDriverSpec { Volume: var volume } ? Following(volume, service, data, mine, local, replication) : null;
        if (!known.Rules.NarrowBeforeAcknowledging) data.Required = Sorted(data.Required.Except(lost));
        if (lost.Count > 0 && MayNarrow(service, [known.Self, .. members.Except(lost)])) return mine with { Members = [known.Self, .. Sorted(members.Except(lost))], Reason = $"lost: {string.Join(", ", lost)}" };
        if (following is not null) return following;
        // An earlier order that is still under way may wait for fewer, and take effect after what the facts show.
        var told = !known.Rules.WidenAfterOrders || (local.Action is null && local.Told is { } order && data.Required.All(order.Required.Contains));
        var waits = told && data.Required.All(replication.Required.Contains);
        var caughtUp = joining.Where(node => !known.Rules.WidenWhenCaughtUp || (waits && replication.Synchronous.Contains(node))).ToList();
        return caughtUp.Count == 0 ? null
            : mine with { Members = [known.Self, .. Sorted(members.Concat(caughtUp))], Reason = $"in sync: {string.Join(", ", caughtUp)}" };
    }

    // As of the set itself: a leg that follows is first held to its backlog, then named; one that does not is first named no more, and then
    // its writer may leave it behind. Held only where a loss is accepted: else nobody takes over there, and no write waits for the store.
    private SyncSet? Following(VolumeSpec volume, ServiceSpec service, OwnedData data, SyncSet mine, LocalInstance local, ReplicationFacts replication)
    {
        var named = mine.Following ?? [];
        List<NodeName> follow = [.. replication.Asynchronous.Where(leg => leg.Lag == Lag.Following && volume.IsAsynchronous(leg.Node)).Select(leg => leg.Node)];
        var gone = named.Except(follow).ToList();
        List<NodeName> coming = IsLeaving(service, data.Epoch) ? [] : [.. follow.Except(named)];
        data.Held = volume.AcceptLoss ? Sorted(named.Concat(coming)) : [];
        if (gone.Count > 0) return mine with { Following = OrNull(named.Except(gone)), Reason = $"on {string.Join(", ", gone)} an asynchronous leg is behind" };
        var told = local.Action is null && local.Told is { } order && data.Held.All(order.Held.Contains);
        return coming.Count > 0 && told && data.Held.All(HeldOf(replication).Contains)
            ? mine with { Following = Sorted(named.Concat(coming)), Reason = $"on {string.Join(", ", coming)} an asynchronous leg follows" } : null;
    }

    private static IReadOnlyList<NodeName> HeldOf(ReplicationFacts? replication) => [.. replication?.Asynchronous.Where(leg => leg.Held).Select(leg => leg.Node) ?? []];

    private static IReadOnlyList<NodeName>? OrNull(IEnumerable<NodeName> nodes) => Sorted(nodes) is { Count: > 0 } some ? some : null;

    // What is in effect waits for no fewer than the record says, as long as nobody else changes it (ALTER SYSTEM): ANY a of L promises
    // a - |L \ S| copies on the set's standbys S.
    private static IEnumerable<NodeName> Unawaited(ServiceSpec service, SyncSet mine, ReplicationFacts replication) =>
        service.IsVolume || replication.Any - replication.Required.Except(mine.Standbys).Count() >= mine.Copies ? []
        : mine.IsQuorum || replication.Any != replication.Required.Count ? mine.Standbys : mine.Standbys.Except(replication.Required);

    // A node that reads no such sets yet would take every member for one that has everything.
    private bool IsByQuorum(ServiceSpec service) => service.Driver is PostgreSqlDriverSpec { Quorum: true } && known.State.Format >= StateFormat.QuorumSets;

    /// <summary>The setting is in effect everywhere, no earlier order is still under way, and so many nodes have everything of before it.</summary>
    private bool IsProven(QuorumStep step, LocalInstance local, ReplicationFacts replication) =>
        (!known.Rules.WidenAfterOrders || (local.Action is null && local.Told is { } order && order.Any == step.Any && order.Required.SequenceEqual(step.Required)))
        && replication.Any == step.Any && replication.Required.SequenceEqual(step.Required)
        && replication.Synchronous.Count(step.Required.Contains) >= step.Any;

    /// <param name="heard">Only while a majority of the voters is heard does anything count against a node.</param>
    private bool IsLost(ServiceSpec service, OwnedData data, NodeName node, ReplicationFacts replication, bool heard)
    {
        if (!known.Spec!.Nodes.ContainsKey(node) || service.HasAsynchronousLeg(node)) return true;
        // One that hangs keeps its connection, and every commit waits for it: that it does not answer its own agent says so first.
        var missing = !replication.Followers.Contains(node) || known.LiveInstance(node, service.Name) is not { Status: InstanceStatus.Running, Health: not Health.Unhealthy };
        // Peers are lost one after the other: an owner that goes deaf hears a majority for a moment yet.
        var silent = !known.IsAlive(node) && !known.IsAway(node);
        var (missingFor, silentFor) = (data.MissingFor(node, heard && missing, known.Awake), data.SilentFor(node, heard && silent, known.Awake));
        return missingFor >= Patience || silentFor >= known.Timings.Lease;
    }

    private IEnumerable<NodeName> Candidates(ServiceSpec service, ReplicationFacts replication) =>
        from node in known.Spec!.Nodes.Keys
        where node != known.Self && replication.Followers.Contains(node) && !service.HasAsynchronousLeg(node)
        let instance = known.LiveInstance(node, service.Name)
        where instance is { Status: InstanceStatus.Running, Health: not Health.Unhealthy, Leaving: false } && known.ModeOf(node) is NodeMode.Active or NodeMode.Quarantined
        orderby known.ModeOf(node) == NodeMode.Quarantined, node
        select node;

    private Upstream? UpstreamOf(ServiceSpec service)
    {
        if (!known.State.Ownerships.TryGetValue(service.Resource, out var record)) return null;
        // One that ends in order sends its standbys everything first: until it has ended they follow it, whether or not they have seen yet
        // that nobody owns it any more. Who leaves for a moment only is not let in again.
        var (node, epoch) = record.Value.Current is { } owner ? (owner.Node, owner.Epoch) : (record.Value.Previous, record.Value.LastEpoch);
        if (node is not { } followed || followed == known.Self || !known.Spec!.Nodes.ContainsKey(followed)) return null;
        if (known.LiveInstance(followed, service.Name) is not { Status: InstanceStatus.Running or InstanceStatus.Stopping } active || active.Epoch != epoch) return null;
        return new Upstream(followed, new PrivateEndpoint(known.Spec!.Nodes[followed].Private[0], service.Driver.Port ?? 0), epoch);
    }

    private IEnumerable<NodeName> OthersOf(ServiceSpec service, SyncSet? record)
    {
        var assigned = known.State.Assignments.TryGetValue(service.Name, out var assignment) ? assignment.Value.Nodes : [];
        return assigned.Concat(record?.Members ?? []).Where(node => node != known.Self).Distinct().Order();
    }

    private void Propose(SyncSet set, StateCodec codec, OwnedData data)
    {
        if (!desk.MayPropose) return;
        var service = set.Service;
        var resource = known.Services[service].Resource;
        List<Compare> compares =
        [
            new(codec.Keys.Owner(resource), known.State.Ownerships[resource].Revision),
            new(codec.Keys.Sync(service), known.SyncSetOf(service)?.Revision ?? 0),
            new(codec.Keys.Incarnation, known.State.IncarnationRevision),
        ];
        data.Proposed = true;
        desk.Propose(new SyncSetProposal(set), compares, [codec.Put(set)]);
    }

    private IReadOnlyList<NodeName> Led(IEnumerable<NodeName> members) => [known.Self, .. Sorted(members.Where(node => node != known.Self))];

    private static IReadOnlyList<NodeName> Sorted(IEnumerable<NodeName> nodes) => [.. nodes.Distinct().Order()];
}

using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

public sealed record DecisionProposal(IReadOnlyList<Announcement> WhenCommitted) : Proposal;

/// <summary>
/// Decisions that go to the store in one transaction. Each changed record's revision is compared, and with it those of the
/// controller, the incarnation and the spec: a deposed controller changes nothing, and nothing is decided by an old spec.
/// </summary>
public sealed class DecisionBatch(Knowledge known, StateCodec codec)
{
    // A transaction has room for 128; the rest comes with the next one.
    private const int Most = 60;

    private readonly List<Compare> compares = [];
    private readonly List<Write> writes = [];
    private readonly List<Announcement> whenCommitted = [];
    private readonly HashSet<NodeName> fences = [];

    private readonly Dictionary<ResourceId, Ownership> put = [];

    /// <summary>The resource's record as it will be after this batch.</summary>
    public Ownership? After(ResourceId resource) =>
        put.TryGetValue(resource, out var changed) ? changed : known.State.Ownerships.TryGetValue(resource, out var record) ? record.Value : null;

    public bool IsEmpty => writes.Count == 0;
    public bool IsFull => writes.Count >= Most;

    public void Put(Ownership ownership)
    {
        var before = known.State.Ownerships.TryGetValue(ownership.Resource, out var record) ? record.Revision : 0;
        Change(before, codec.Put(ownership));
        put[ownership.Resource] = ownership;
        if (known.Rules.CompareSyncSet && known.ServiceOf(ownership.Resource) is { IsReplicated: true } service)
            compares.Add(new Compare(codec.Keys.Sync(service.Name), known.SyncSetOf(service.Name)?.Revision ?? 0));
        var owner = ownership.Current;
        known.Announce(AnnouncementKind.Decided, $"{ownership.Resource} -> {owner?.ToString() ?? "nobody"}: {ownership.Reason}", ownership.Resource, owner?.Node, owner?.Epoch);
        AnnounceLater(AnnouncementKind.Committed, $"{ownership.Resource} -> {owner?.ToString() ?? "nobody"}", ownership.Resource, owner?.Node, owner?.Epoch);
    }

    /// <summary>Never beside an ownership of the same service: that compares the set as it was.</summary>
    public void Put(SyncSet set)
    {
        Change(known.SyncSetOf(set.Service)?.Revision ?? 0, codec.Put(set));
        AnnounceLater(AnnouncementKind.SyncSetChanged, $"{set.Service}: {set.Reason}", known.Services.GetValueOrDefault(set.Service)?.Resource, set.Members[0], set.Epoch);
    }

    public void Put(Assignment assignment) =>
        Change(known.State.Assignments.TryGetValue(assignment.Service, out var record) ? record.Revision : 0, codec.Put(assignment));

    public void Delete(Versioned<Assignment> gone) => Change(gone.Revision, new Write(codec.Keys.Assignment(gone.Value.Service), null));

    public void Put(NodeRecord node, AnnouncementKind kind)
    {
        Change(known.State.Nodes.TryGetValue(node.Node, out var record) ? record.Revision : 0, codec.Put(node));
        AnnounceLater(kind, $"{node.Node}: {node.Mode}, {node.Reason}", null, node.Node, null);
    }

    public void DeleteNode(Versioned<NodeRecord> node, AnnouncementKind kind, string words)
    {
        Change(node.Revision, new Write(codec.Keys.Node(node.Value.Node), null));
        AnnounceLater(kind, words, null, node.Value.Node, null);
    }

    public void PutFormat(int format)
    {
        Change(known.State.FormatRevision, codec.PutFormat(format));
        AnnounceLater(AnnouncementKind.FormatRaised, $"every node reads state of format {format}: from now on it is written so", null, null, null);
    }

    /// <summary>Once a node and batch, however many services ask for it.</summary>
    public void Put(FenceRecord fence)
    {
        if (!fences.Add(fence.Node)) return;
        Change(known.State.Fences.TryGetValue(fence.Node, out var record) ? record.Revision : 0, codec.Put(fence));
        AnnounceLater(AnnouncementKind.FenceAsked, $"{fence.Node} is to be cut off: {fence.Reason}", null, fence.Node, null);
    }

    public void Delete(Versioned<FenceRecord> fence, string words)
    {
        if (!fences.Add(fence.Value.Node)) return;
        Change(fence.Revision, new Write(codec.Keys.Fence(fence.Value.Node), null));
        AnnounceLater(AnnouncementKind.FenceEnded, words, null, fence.Value.Node, null);
    }

    /// <param name="words">What is decided, for the events; null for what nobody waits for.</param>
    public void Put(BackupRecord backup, string? words, NodeName? node = null)
    {
        Change(known.State.Backups.TryGetValue(backup.Job, out var record) ? record.Revision : 0, codec.Put(backup));
        if (words is not null) AnnounceLater(backup.Running is null ? AnnouncementKind.BackupFailed : AnnouncementKind.BackupGiven, words, null, node, null);
    }

    public void Delete(Versioned<BackupRecord> gone) => Change(gone.Revision, new Write(codec.Keys.Backup(gone.Value.Job), null));

    public void Delete(Versioned<MoveRequest> move, AnnouncementKind kind, string words)
    {
        Change(move.Revision, new Write(codec.Keys.Move(move.Value.Resource), null));
        AnnounceLater(kind, words, move.Value.Resource, move.Value.To, null);
    }

    public void Propose(CommitDesk desk)
    {
        if (known.Rules.CompareController) compares.Add(new Compare(codec.Keys.Controller, known.State.Controller!.Value.Revision));
        compares.Add(new Compare(codec.Keys.Incarnation, known.State.IncarnationRevision));
        compares.Add(new Compare(codec.Keys.Spec, known.State.Spec!.Value.Revision));
        desk.Propose(new DecisionProposal(whenCommitted), compares, writes);
    }

    private void Change(long revision, Write write)
    {
        if (known.Rules.CompareRecords) compares.Add(new Compare(write.Key, revision));
        writes.Add(write);
    }

    private void AnnounceLater(AnnouncementKind kind, string words, ResourceId? resource, NodeName? node, Epoch? epoch) =>
        whenCommitted.Add(new Announcement(kind, words, resource, node, epoch, known.Now));
}

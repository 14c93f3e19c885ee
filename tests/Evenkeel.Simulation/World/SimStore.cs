using System.Text.Json;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// A model of the coordination store: linearizable, with request ids; asked over a network that loses answers. Its faults:
/// unreachable from a node or from all, answers that leave the outcome open (applied or not, perhaps later), lagging
/// watches, restored from an old snapshot.
/// </summary>
public sealed class SimStore(VirtualTime time, Chance chance)
{
    private readonly SortedDictionary<string, StoreEntry> entries = new(StringComparer.Ordinal);
    private readonly Dictionary<Guid, CommitResult> applied = [];
    private readonly List<WatchBatch> history = [];
    private readonly List<(long Revision, List<StoreEntry> Entries)> snapshots = [];
    private readonly Dictionary<NodeName, int> cutFrom = [];
    private int generation;

    public long Revision { get; private set; } = 1;
    public int Outages { get; set; }
    /// <summary>Probability that a commit's outcome stays open.</summary>
    public double Doubt { get; set; }
    /// <summary>Longest lag of a watch, in milliseconds.</summary>
    public double WatchLag { get; set; } = 3;
    /// <summary>Grows with each restore: watches break.</summary>
    public int Generation => generation;

    /// <summary>Sees every transaction before it is judged, and every one that is applied, with its revision.</summary>
    public Action<NodeName, Transaction>? Asked { get; set; }
    public Action<NodeName?, Transaction, long>? Applied { get; set; }
    public Action? Changed { get; set; }

    public bool ReachableFrom(NodeName node) => Outages == 0 && cutFrom.GetValueOrDefault(node) == 0;
    public void CutFrom(NodeName node) => cutFrom[node] = cutFrom.GetValueOrDefault(node) + 1;
    public void HealFrom(NodeName node)
    {
        if (cutFrom.GetValueOrDefault(node) is var count and > 0) cutFrom[node] = count - 1;
    }
    public void HealAll()
    {
        cutFrom.Clear();
        Outages = 0;
        Doubt = 0;
        WatchLag = 3;
    }

    public StoreSnapshot Snapshot() => new(Revision, [.. entries.Values]);

    /// <summary>A reading that a stale member would give.</summary>
    public StoreSnapshot StaleSnapshot() => snapshots.Count == 0 ? Snapshot() : new(snapshots[0].Revision, [.. snapshots[0].Entries]);

    /// <summary>Whom the controller's record names.</summary>
    public NodeName? Controller() =>
        entries.TryGetValue(new StateKeys(Plan.Cluster).Controller, out var entry)
            ? JsonSerializer.Deserialize(entry.Value.Span, StateJson.Default.Controller)!.Node : null;

    public IEnumerable<WatchBatch> After(long revision) => history.Where(batch => batch.Revision > revision);

    public void Commit(NodeName from, Transaction transaction, Action<CommitResult> answer)
    {
        Asked?.Invoke(from, transaction);
        var there = 300_000 + chance.Around(1.2);
        if (!ReachableFrom(from))
        {
            // Refused connections are certain; time-outs are not, though the request never arrived.
            var certain = chance.Happens(0.5);
            time.After(certain ? there : chance.Milliseconds(100, 600),
                () => answer(new CommitResult(certain ? CommitOutcome.Unavailable : CommitOutcome.Indeterminate, 0, "unreachable")));
            return;
        }
        var mine = generation;
        if (chance.Happens(Doubt))
        {
            if (chance.Happens(0.6)) time.After(there + (chance.Happens(0.3) ? chance.Milliseconds(50, 800) : 0), () => { if (mine == generation) Apply(transaction, from); });
            time.After(chance.Milliseconds(20, 400), () => answer(new CommitResult(CommitOutcome.Indeterminate, 0, "no answer in time")));
            return;
        }
        time.After(there, () =>
        {
            var result = mine == generation ? Apply(transaction, from) : new CommitResult(CommitOutcome.Indeterminate, 0, "the store was replaced");
            time.After(300_000 + chance.Around(0.8), () =>
                answer(ReachableFrom(from) ? result : new CommitResult(CommitOutcome.Indeterminate, 0, "connection lost")));
        });
    }

    public void Read(NodeName from, Action<StoreSnapshot?> answer)
    {
        time.After(300_000 + chance.Around(1.2), () =>
        {
            var snapshot = ReachableFrom(from) ? Snapshot() : null;
            time.After(300_000 + chance.Around(0.8), () => answer(ReachableFrom(from) ? snapshot : null));
        });
    }

    /// <summary>By an operator's hand: applied at once.</summary>
    public CommitResult Apply(Transaction transaction, NodeName? by = null)
    {
        if (applied.TryGetValue(transaction.RequestId, out var before)) return before;
        foreach (var compare in transaction.Compares)
            if ((entries.TryGetValue(compare.Key, out var entry) ? entry.ModRevision : 0) != compare.ModRevision)
                return new CommitResult(CommitOutcome.Conflict, 0, $"{compare.Key} changed");
        List<StoreEntry> puts = [];
        List<string> deleted = [];
        foreach (var write in transaction.Writes)
        {
            if (write.Value is { } value) puts.Add(new StoreEntry(write.Key, value, Revision + 1));
            else if (entries.ContainsKey(write.Key)) deleted.Add(write.Key);
        }
        if (puts.Count + deleted.Count > 0)
        {
            KeepSnapshot();
            Revision++;
            foreach (var put in puts) entries[put.Key] = put;
            foreach (var key in deleted) entries.Remove(key);
            history.Add(new WatchBatch(Revision, puts, deleted));
        }
        var result = new CommitResult(CommitOutcome.Committed, Revision);
        applied[transaction.RequestId] = result;
        Applied?.Invoke(by, transaction, Revision);
        Changed?.Invoke();
        return result;
    }

    /// <summary>
    /// Back to an old snapshot, as the restore procedure does it: under revisions that were never given out before, so that
    /// no old compare holds by chance.
    /// </summary>
    public void Restore()
    {
        if (snapshots.Count == 0) return;
        var (_, old) = chance.Pick(snapshots);
        generation++;
        entries.Clear();
        foreach (var entry in old) entries[entry.Key] = entry;
        Revision += 1000;
        applied.Clear();
        history.Clear();
        snapshots.Clear();
    }

    // The last hundred states can be restored; older ones would hold an older spec.
    private void KeepSnapshot()
    {
        // Before the first commit there was no cluster.
        if (entries.Count == 0) return;
        snapshots.Add((Revision, [.. entries.Values]));
        if (snapshots.Count > 60) snapshots.RemoveAt(0);
    }
}

using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Store;

/// <summary>
/// Keys and JSON values to <see cref="ClusterState"/> and back. A value that cannot be read is left out and told in
/// <see cref="Problems"/>: one corrupted record must not take the cluster's other services with it.
/// </summary>
public sealed class StateCodec(string cluster)
{
    private readonly List<string> problems = [];

    public StateKeys Keys { get; } = new(cluster);

    /// <summary>Records that could not be read since the last call of <see cref="TakeProblems"/>.</summary>
    public IReadOnlyList<string> Problems => problems;

    public IReadOnlyList<string> TakeProblems()
    {
        string[] taken = [.. problems];
        problems.Clear();
        return taken;
    }

    public ClusterState Read(StoreSnapshot snapshot)
    {
        var state = ClusterState.Empty with { Revision = snapshot.Revision };
        foreach (var entry in snapshot.Entries) state = Put(state, entry);
        return state;
    }

    /// <summary>The state after <paramref name="batch"/>; a batch at or before the state's revision was seen already and changes nothing.</summary>
    public ClusterState Apply(ClusterState state, WatchBatch batch)
    {
        if (batch.Revision <= state.Revision) return state;
        foreach (var key in batch.Deleted) state = Delete(state, key);
        foreach (var entry in batch.Entries) state = Put(state, entry);
        return state with { Revision = batch.Revision };
    }

    public Write Put(ClusterSpec spec) => Of(Keys.Spec, spec, StateJson.Default.ClusterSpec);
    public Write Put(Controller controller) => Of(Keys.Controller, controller, StateJson.Default.Controller);
    public Write Put(Ownership ownership) => Of(Keys.Owner(ownership.Resource), ownership, StateJson.Default.Ownership);
    public Write Put(Assignment assignment) => Of(Keys.Assignment(assignment.Service), assignment, StateJson.Default.Assignment);
    public Write Put(NodeRecord node) => Of(Keys.Node(node.Node), node, StateJson.Default.NodeRecord);
    public Write Put(MoveRequest move) => Of(Keys.Move(move.Resource), move, StateJson.Default.MoveRequest);
    public Write Put(RestartRequest restart) => Of(Keys.Restart(restart), restart, StateJson.Default.RestartRequest);
    public Write Put(SyncSet set) => Of(Keys.Sync(set.Service), set, StateJson.Default.SyncSet);
    public Write Put(FenceRecord fence) => Of(Keys.Fence(fence.Node), fence, StateJson.Default.FenceRecord);
    public Write Put(BackupRecord backup) => Of(Keys.Backup(backup.Job), backup, StateJson.Default.BackupRecord);
    public Write PutIncarnation(int incarnation) => Of(Keys.Incarnation, incarnation, StateJson.Default.Int32);

    public Write PutFormat(int format) => Of(Keys.Format, format, StateJson.Default.Int32);

    private static Write Of<T>(string key, T value, JsonTypeInfo<T> type) => new(key, JsonSerializer.SerializeToUtf8Bytes(value, type));

    private ClusterState Put(ClusterState state, StoreEntry entry)
    {
        var key = entry.Key;
        if (key == Keys.Spec)
            return Parse(entry, StateJson.Default.ClusterSpec) is { } spec ? state with { Spec = spec } : state;
        if (key == Keys.Controller)
            return Parse(entry, StateJson.Default.Controller) is { } controller ? state with { Controller = controller } : state;
        if (key == Keys.Incarnation)
            return Parse(entry, StateJson.Default.Int32) is { } incarnation
                ? state with { Incarnation = incarnation.Value, IncarnationRevision = incarnation.Revision } : state;
        if (key == Keys.Format)
            return Parse(entry, StateJson.Default.Int32) is { } format ? state with { Format = format.Value, FormatRevision = format.Revision } : state;
        if (key.StartsWith(Keys.OwnerPrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.Ownership) is { } owner
                ? state with { Ownerships = state.Ownerships.SetItem(owner.Value.Resource, owner) } : state;
        if (key.StartsWith(Keys.AssignmentPrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.Assignment) is { } assignment
                ? state with { Assignments = state.Assignments.SetItem(assignment.Value.Service, assignment) } : state;
        if (key.StartsWith(Keys.NodePrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.NodeRecord) is { } node
                ? state with { Nodes = state.Nodes.SetItem(node.Value.Node, node) } : state;
        if (key.StartsWith(Keys.MovePrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.MoveRequest) is { } move
                ? state with { Moves = state.Moves.SetItem(move.Value.Resource, move) } : state;
        if (key.StartsWith(Keys.RestartPrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.RestartRequest) is { } restart
                ? state with { Restarts = state.Restarts.SetItem(restart.Value.Key, restart) } : state;
        if (key.StartsWith(Keys.SyncPrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.SyncSet) is { } set
                ? state with { SyncSets = state.SyncSets.SetItem(set.Value.Service, set) } : state;
        if (key.StartsWith(Keys.FencePrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.FenceRecord) is { } fence
                ? state with { Fences = state.Fences.SetItem(fence.Value.Node, fence) } : state;
        if (key.StartsWith(Keys.BackupPrefix, StringComparison.Ordinal))
            return Parse(entry, StateJson.Default.BackupRecord) is { } backup
                ? state with { Backups = state.Backups.SetItem(backup.Value.Job, backup) } : state;
        return state;
    }

    private ClusterState Delete(ClusterState state, string key)
    {
        string? Below(string prefix) => key.StartsWith(prefix, StringComparison.Ordinal) ? key[prefix.Length..] : null;
        if (key == Keys.Spec) return state with { Spec = null };
        if (key == Keys.Controller) return state with { Controller = null };
        if (key == Keys.Incarnation) return state with { Incarnation = 0, IncarnationRevision = 0 };
        if (Below(Keys.OwnerPrefix) is { } owner) return state with { Ownerships = state.Ownerships.Remove(new(owner)) };
        if (Below(Keys.AssignmentPrefix) is { } service) return state with { Assignments = state.Assignments.Remove(service) };
        if (Below(Keys.NodePrefix) is { } node) return state with { Nodes = state.Nodes.Remove(new(node)) };
        if (Below(Keys.MovePrefix) is { } move) return state with { Moves = state.Moves.Remove(new(move)) };
        if (Below(Keys.RestartPrefix) is { } restart) return state with { Restarts = state.Restarts.Remove(restart) };
        if (Below(Keys.SyncPrefix) is { } set) return state with { SyncSets = state.SyncSets.Remove(set) };
        if (Below(Keys.FencePrefix) is { } fence) return state with { Fences = state.Fences.Remove(new(fence)) };
        if (Below(Keys.BackupPrefix) is { } backup) return state with { Backups = state.Backups.Remove(backup) };
        return state;
    }

    private Versioned<T>? Parse<T>(StoreEntry entry, JsonTypeInfo<T> type)
    {
        try
        {
            if (JsonSerializer.Deserialize(entry.Value.Span, type) is { } value) return new(value, entry.ModRevision);
            problems.Add($"{entry.Key}: empty record");
        }
        // Not supported: of something that has kinds, and does not say which one it is.
        catch (Exception broken) when (broken is JsonException or NotSupportedException)
        {
            problems.Add($"{entry.Key}: {broken.Message}");
        }
        return null;
    }
}

using System.Text;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Store;

/// <summary>An operator's transaction, or why it cannot be.</summary>
public sealed record Operation
{
    public Transaction? Transaction { get; private init; }
    /// <summary>In words that say what to do instead; null when the transaction stands.</summary>
    public string? Refusal { get; private init; }

    internal static Operation Refuse(string why) => new() { Refusal = why };
    internal static Operation Of(Guid request, IReadOnlyList<Compare> compares, IReadOnlyList<Write> writes) =>
        new() { Transaction = new Transaction(request, compares, writes) };
}

/// <summary>
/// What operators commit: pure functions of the state that they looked at. Each transaction compares the revision of what it
/// changes, so an answer <see cref="CommitOutcome.Conflict"/> means: somebody was faster, look again.
/// </summary>
public static class Operations
{
    /// <param name="source">The text of <c>cluster.yaml</c>, kept for people.</param>
    public static Operation ApplySpec(StateCodec codec, ClusterState state, ClusterSpec spec, string source, Guid request)
    {
        if (state.Spec is { } before && (Objection(before.Value, spec) ?? TooEarly(state, spec)) is { } objection) return Operation.Refuse(objection);
        List<Write> writes = [codec.Put(spec), new Write(codec.Keys.SpecSource, Encoding.UTF8.GetBytes(source))];
        List<Compare> compares = [new(codec.Keys.Spec, state.Spec?.Revision ?? 0)];
        if (state.IncarnationRevision == 0)
        {
            compares.Add(new(codec.Keys.Incarnation, 0));
            writes.Add(codec.PutIncarnation(1));
        }
        return Operation.Of(request, compares, writes);
    }

    /// <summary>No new work for the node; what it has moves, then it is empty.</summary>
    public static Operation Drain(StateCodec codec, ClusterState state, NodeName node, string reason, Guid request)
    {
        if (Unknown(state, node) is { } unknown) return unknown;
        var others = state.Spec!.Value.Value.Nodes.Values.Count(other => other.Name != node && other.Role == NodeRole.Full && ModeOf(state, other.Name) is NodeMode.Active or NodeMode.Quarantined);
        return others == 0
            ? Operation.Refuse($"no other node could take over from {node}: resume one first; if what runs there is to stop, stop its agent (systemctl stop evenkeel)")
            : SetMode(codec, state, node, NodeMode.Draining, reason, request);
    }

    /// <summary>Everything on the node stops, whether or not another can take it over.</summary>
    public static Operation Maintain(StateCodec codec, ClusterState state, NodeName node, string reason, Guid request) =>
        Unknown(state, node) ?? SetMode(codec, state, node, NodeMode.Maintenance, reason, request);

    /// <summary>Ends draining, maintenance and quarantine.</summary>
    public static Operation Resume(StateCodec codec, ClusterState state, NodeName node, Guid request)
    {
        if (Unknown(state, node) is { } unknown) return unknown;
        return state.Nodes.TryGetValue(node, out var record) && record.Value.Mode != NodeMode.Active
            ? Operation.Of(request, [new(codec.Keys.Node(node), record.Revision)], [new Write(codec.Keys.Node(node), null)])
            : Operation.Refuse($"{node} is active already");
    }

    public static Operation Move(StateCodec codec, ClusterState state, ResourceId resource, NodeName to, Guid request)
    {
        if (Unknown(state, to) is { } unknown) return unknown;
        var spec = state.Spec!.Value.Value;
        if (resource.Kind == "volume")
            return Operation.Refuse(spec.Services.Values.FirstOrDefault(service => service.Mounts.Any(mount => mount.Volume == resource.Name)) is { } user
                ? $"a volume moves with the service that works on it: move service/{user.Name}" : $"no service works on {resource}: there is nothing to move");
        var vip = resource.Kind == "vip";
        var exists = vip ? spec.Vips.ContainsKey(resource.Name)
            : spec.Services.TryGetValue(resource.Name, out var service) && service.Activity == Activity.SingleActive;
        if (!exists)
            return Operation.Refuse(spec.Services.ContainsKey(resource.Name)
                ? $"{resource.Name} runs on several nodes at once: there is nothing to move; drain the node that it shall leave"
                : $"there is no {resource} in the cluster's file");
        var node = spec.Nodes[to];
        if (node.Role == NodeRole.Witness) return Operation.Refuse($"{to} is a witness: it runs no services");
        if (vip && node.Public is null) return Operation.Refuse($"{to} has no public address: it cannot have {resource}");
        if (ModeOf(state, to) is (NodeMode.Draining or NodeMode.Maintenance) and var mode) return Operation.Refuse($"{to} is in {mode}: resume it first");
        if (state.Ownerships.TryGetValue(resource, out var owned) && owned.Value.Current?.Node == to) return Operation.Refuse($"{resource} is on {to} already");
        var before = state.Moves.TryGetValue(resource, out var pending) ? pending.Revision : 0;
        return Operation.Of(request, [new(codec.Keys.Move(resource), before)], [codec.Put(new MoveRequest(resource, to))]);
    }

    /// <summary>The node's instance stops in order and starts again; what follows from its stop is what follows from any.</summary>
    public static Operation Restart(StateCodec codec, ClusterState state, string service, NodeName node, Guid request)
    {
        if (Unknown(state, node) is { } unknown) return unknown;
        var spec = state.Spec!.Value.Value;
        if (!spec.Services.ContainsKey(service)) return Operation.Refuse($"there is no service {service}; there are {string.Join(", ", spec.Services.Keys.Order(StringComparer.Ordinal))}");
        var restart = new RestartRequest(service, node);
        return state.Restarts.ContainsKey(restart.Key) ? Operation.Refuse($"{service} is asked to restart on {node} already")
            : Operation.Of(request, [new(codec.Keys.Restart(restart), 0)], [codec.Put(restart)]);
    }

    /// <summary>
    /// Part of every restore from a snapshot: begins an incarnation that outranks every epoch ever given (safety rule 2).
    /// The restore must also make the store count from revisions never given out before (etcdutl: <c>--bump-revision
    /// --mark-compacted</c>), so that no decision of before it finds its compares fulfilled by chance.
    /// </summary>
    /// <param name="highestKnown">The highest incarnation that any agent, guard or backup catalogue knows of: a second restore of one snapshot must not begin the first one's incarnation again.</param>
    public static Operation BeginIncarnation(StateCodec codec, ClusterState restored, int highestKnown, Guid request) =>
        Operation.Of(request, [new(codec.Keys.Incarnation, restored.IncarnationRevision)],
            [codec.PutIncarnation(Math.Max(restored.Incarnation, highestKnown) + 1)]);

    private static Operation SetMode(StateCodec codec, ClusterState state, NodeName node, NodeMode mode, string reason, Guid request)
    {
        var known = state.Nodes.TryGetValue(node, out var record);
        return known && record.Value.Mode == mode
            ? Operation.Refuse($"{node} is in {mode} already")
            : Operation.Of(request, [new(codec.Keys.Node(node), known ? record.Revision : 0)], [codec.Put(new NodeRecord(node, mode) { Reason = reason })]);
    }

    private static NodeMode ModeOf(ClusterState state, NodeName node) => state.Nodes.TryGetValue(node, out var record) ? record.Value.Mode : NodeMode.Active;

    internal static Operation? Unknown(ClusterState state, NodeName node) =>
        state.Spec is not { } spec ? Operation.Refuse("the cluster has no spec yet: apply one first")
        : spec.Value.Nodes.ContainsKey(node) ? null
        : Operation.Refuse($"there is no node {node}; there are {string.Join(", ", spec.Value.Nodes.Keys.Order())}");

    private static string? Objection(ClusterSpec before, ClusterSpec after)
    {
        if (before.Cluster != after.Cluster) return $"this is the cluster {before.Cluster}, the file is of {after.Cluster}";
        // Old and new majorities must share a voter, else both could grant at once.
        var changed = before.Voters.Except(after.Voters).Union(after.Voters.Except(before.Voters)).Order().ToList();
        if (changed.Count > 1) return $"voters change one at a time; here change {string.Join(", ", changed)}: apply one, wait until `status` is fine, apply the next";
        // A voter that restarts waits for the lease that it knows of: a longer one must not be in use meanwhile.
        if (before.Timings.Lease != after.Timings.Lease || before.Timings.DriftBound != after.Timings.DriftBound)
            return "timings.lease and timings.drift_bound cannot change while leases run: stop the cluster, then apply";
        return null;
    }

    /// <summary>Why a spec must not be committed while some agent may not understand it; null when it may.</summary>
    public static string? TooEarly(ClusterState state, ClusterSpec after) =>
        after.Volumes.Count > 0 && state.Spec is not null && state.Format < StateFormat.Volumes
            ? "some node's agent does not know volumes yet: it would start a service without its data. Upgrade every node first, and bring those that are away back"
        : after.Volumes.Values.Any(volume => volume.Asynchronous.Count > 0) && state.Spec is not null && state.Format < StateFormat.AsynchronousLegs
            ? "some node's agent does not know asynchronous legs yet. Upgrade every node first, and bring those that are away back" : null;
}

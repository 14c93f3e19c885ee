using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Store;

/// <summary>What operators commit about the fencing of a node; see <see cref="Operations"/>.</summary>
public static class FenceOperations
{
    /// <summary>Agents cut the node off, again and again until its device confirms.</summary>
    public static Operation CutOff(StateCodec codec, ClusterState state, NodeName node, GuardSession session, string reason, Guid request)
    {
        if (Operations.Unknown(state, node) is { } unknown) return unknown;
        if (state.Spec!.Value.Value.Nodes[node].Fence is null)
            return Operation.Refuse($"{node} has no fence device in the cluster's file: switch it off by hand, then confirm that it is off");
        if (Current(state, node) is { } before)
            return before.Phase == FencePhase.Confirmed ? Operation.Refuse($"{node} is cut off already: {before.Detail}")
                : before.ByOperator ? Operation.Refuse($"{node} is to be cut off already: {(before.Detail.Length > 0 ? before.Detail : before.Reason)}")
                : Put(codec, state, before with { ByOperator = true, Reason = reason }, request);
        return Put(codec, state, new FenceRecord(node, state.Revision, state.Incarnation, FencePhase.Asked) { Session = session, ByOperator = true, Reason = reason }, request);
    }

    /// <summary>Somebody saw that the node is off. If it is not, what only fencing protects may run twice.</summary>
    public static Operation Confirm(StateCodec codec, ClusterState state, NodeName node, GuardSession session, string by, Guid request)
    {
        if (Operations.Unknown(state, node) is { } unknown) return unknown;
        var before = Current(state, node);
        if (before is { Phase: FencePhase.Confirmed }) return Operation.Refuse($"{node} is confirmed off already: {before.Detail}");
        var record = before ?? new FenceRecord(node, state.Revision, state.Incarnation, FencePhase.Asked) { Session = session, Reason = "confirmed by hand" };
        return Put(codec, state, record with { Phase = FencePhase.Confirmed, ByOperator = true, Detail = $"{by} says that it is off" }, request);
    }

    /// <summary>Takes back a wish that no device has fulfilled yet.</summary>
    public static Operation Cancel(StateCodec codec, ClusterState state, NodeName node, Guid request)
    {
        if (Operations.Unknown(state, node) is { } unknown) return unknown;
        if (!state.Fences.TryGetValue(node, out var record)) return Operation.Refuse($"{node} is not to be cut off");
        return record.Value.Phase == FencePhase.Confirmed
            ? Operation.Refuse($"{node} is cut off already; it is trusted again once it has started anew")
            : Operation.Of(request, [new(codec.Keys.Fence(node), record.Revision)], [new Write(codec.Keys.Fence(node), null)]);
    }

    private static FenceRecord? Current(ClusterState state, NodeName node) =>
        state.Fences.TryGetValue(node, out var record) && record.Value.Incarnation == state.Incarnation ? record.Value : null;

    private static Operation Put(StateCodec codec, ClusterState state, FenceRecord record, Guid request) =>
        Operation.Of(request,
            [new(codec.Keys.Fence(record.Node), state.Fences.TryGetValue(record.Node, out var before) ? before.Revision : 0), new(codec.Keys.Incarnation, state.IncarnationRevision)],
            [codec.Put(record)]);
}

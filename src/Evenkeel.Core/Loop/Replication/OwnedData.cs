using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Replication;

/// <summary>What this agent's life remembers of a replicated service while this node owns it.</summary>
internal sealed class OwnedData(Epoch epoch)
{
    private readonly Dictionary<NodeName, TimeSpan> missingSince = [];
    private readonly Dictionary<NodeName, TimeSpan> silentSince = [];

    public Epoch Epoch => epoch;
    /// <summary>Revision of the sync set that this life wrote last; null before its first. Nobody else writes it under this epoch.</summary>
    public long? Written { get; set; }
    /// <summary>A sync set of ours is on its way to the store, its outcome unknown.</summary>
    public bool Proposed { get; set; }
    /// <summary>The nodes that each commit shall wait for: never fewer than the sync set names.</summary>
    public IReadOnlyList<NodeName> Required { get; set; } = [];

    /// <summary>For how many of <see cref="Required"/> each commit shall wait; null: for all.</summary>
    public int? Any { get; set; }

    /// <summary>Asynchronous legs that shall lack no more than their backlog: never fewer than the sync set says do.</summary>
    public IReadOnlyList<NodeName> Held { get; set; } = [];

    /// <summary>Members of the sync set that commits were seen not to wait for: they may lack what was acknowledged, until the set names them no more.</summary>
    public HashSet<NodeName> Unawaited { get; } = [];

    /// <summary>How long the node has not followed, as of <paramref name="now"/>.</summary>
    public TimeSpan MissingFor(NodeName node, bool missing, TimeSpan now) => Since(missingSince, node, missing, now);

    /// <summary>How long the node has counted as lost, as of <paramref name="now"/>.</summary>
    public TimeSpan SilentFor(NodeName node, bool silent, TimeSpan now) => Since(silentSince, node, silent, now);

    private static TimeSpan Since(Dictionary<NodeName, TimeSpan> since, NodeName node, bool holds, TimeSpan now)
    {
        if (!holds) since.Remove(node);
        else if (!since.TryAdd(node, now)) return now - since[node];
        return TimeSpan.Zero;
    }
}

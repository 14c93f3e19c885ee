namespace Evenkeel.Core.Model;

/// <summary>A committed record together with the store revision that last changed it (what transactions compare).</summary>
public readonly record struct Versioned<T>(T Value, long Revision);

/// <summary>Which agent holds the controller's role. The controller decides; it grants nothing (safety rule 1).</summary>
public sealed record Controller(NodeName Node, long Epoch);

/// <summary>Who owns an exclusive resource; <see cref="Current"/> is null when nobody may (stopped by the user, or quorum of candidates lost).</summary>
public sealed record Ownership(ResourceId Resource, Owner? Current, Epoch LastEpoch)
{
    /// <summary>
    /// The owner before. While <see cref="Current"/> is null and the resource is being moved in order (a service that stops
    /// first), the controller waits until this node has given it back, or is lost.
    /// </summary>
    public NodeName? Previous { get; init; }
    /// <summary>While nobody owns it: for whom the planned move freed it.</summary>
    public NodeName? Intended { get; init; }
    /// <summary>Why the controller decided so, in words for <c>explain</c>.</summary>
    public string Reason { get; set; } = "";
}

/// <summary>Where the instances of a spread service shall run.</summary>
public sealed record Assignment(string Service, IReadOnlyList<NodeName> Nodes) { public string Reason { get; set; } = ""; }

public enum NodeMode { Active, Draining, Maintenance, Quarantined }

/// <summary>What operators (drain, resume) and the controller (quarantine) committed about a node.</summary>
public sealed record NodeRecord(NodeName Node, NodeMode Mode) { public string Reason { get; set; } = ""; }

/// <summary>An operator's wish to have an exclusive resource on a node; deleted by the controller once fulfilled or refused.</summary>
public sealed record MoveRequest(ResourceId Resource, NodeName To);

/// <summary>An operator's wish that one node's instance of a service be stopped in order and started again; its agent deletes it when that is done.</summary>
public sealed record RestartRequest(string Service, NodeName Node)
{
    /// <summary>The record's name in the store, below its prefix.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public string Key => $"{Service}/{Node}";
}

/// <summary>
/// The committed state as one agent last saw it. A copy, always possibly old: it gives no right to act (safety rule 6).
/// </summary>
public sealed record ClusterState
{
    public static readonly ClusterState Empty = new();
    /// <summary>Store revision that this copy reflects.</summary>
    public long Revision { get; init; }
    /// <summary>See <see cref="StateFormat"/>.</summary>
    public int Format { get; set; } = StateFormat.First;
    public long FormatRevision { get; init; }
    public int Incarnation { get; init; }
    /// <summary>Revision of the incarnation's record (0: none): every decision compares it, so that none outlives a restore.</summary>
    public long IncarnationRevision { get; init; }
    public Versioned<ClusterSpec>? Spec { get; init; }
    public Versioned<Controller>? Controller { get; init; }
    public System.Collections.Immutable.ImmutableSortedDictionary<ResourceId, Versioned<Ownership>> Ownerships { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty;
    public System.Collections.Immutable.ImmutableSortedDictionary<string, Versioned<Assignment>> Assignments { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary.Create<string, Versioned<Assignment>>(StringComparer.Ordinal);
    public System.Collections.Immutable.ImmutableSortedDictionary<NodeName, Versioned<NodeRecord>> Nodes { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary<NodeName, Versioned<NodeRecord>>.Empty;
    public System.Collections.Immutable.ImmutableSortedDictionary<ResourceId, Versioned<MoveRequest>> Moves { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary<ResourceId, Versioned<MoveRequest>>.Empty;
    /// <summary>By <see cref="RestartRequest.Key"/>.</summary>
    public System.Collections.Immutable.ImmutableSortedDictionary<string, Versioned<RestartRequest>> Restarts { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary.Create<string, Versioned<RestartRequest>>(StringComparer.Ordinal);
    public System.Collections.Immutable.ImmutableSortedDictionary<string, Versioned<SyncSet>> SyncSets { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary.Create<string, Versioned<SyncSet>>(StringComparer.Ordinal);
    public System.Collections.Immutable.ImmutableSortedDictionary<NodeName, Versioned<FenceRecord>> Fences { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary<NodeName, Versioned<FenceRecord>>.Empty;
    public System.Collections.Immutable.ImmutableSortedDictionary<string, Versioned<BackupRecord>> Backups { get; init; } =
        System.Collections.Immutable.ImmutableSortedDictionary.Create<string, Versioned<BackupRecord>>(StringComparer.Ordinal);
}

using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>The cluster as one agent sees it: what <c>status</c> shows. <see cref="StatusFindings"/> says what to think of it.</summary>
public sealed record StatusReport
{
    public required string Cluster { get; init; }
    /// <summary>The agent that answers.</summary>
    public required NodeName AnsweredBy { get; init; }
    public required DateTimeOffset At { get; init; }
    /// <summary>The coordination store's revision that the answering agent has seen.</summary>
    public long Revision { get; init; }
    /// <summary>Revision of the committed spec; 0 before the first.</summary>
    public required long SpecRevision { get; init; }
    /// <summary>Null while nobody holds the role.</summary>
    public Controller? Controller { get; init; }
    public required StoreReport Store { get; init; }
    public required IReadOnlyList<NodeReport> Nodes { get; init; }
    public required IReadOnlyList<VipReport> Vips { get; init; }
    public required IReadOnlyList<ServiceReport> Services { get; init; }
    public IReadOnlyList<BackupReport> Backups { get; set; } = [];
    public IReadOnlyList<VolumeReport> Volumes { get; set; } = [];
    public OutageReport? LastOutage { get; init; }
    /// <summary>Receivers of alerts that the answering agent did not reach at its last attempt, and why.</summary>
    public IReadOnlyList<string> AlertProblems { get; set; } = [];
}

/// <param name="Kind">managed, embedded or external.</param>
public sealed record StoreReport(string Kind, bool HasQuorum, string? Leader, IReadOnlyList<string> Alarms);

public enum Reach { Alive, Lost, Unknown }

public sealed record NodeReport
{
    public required NodeName Name { get; init; }
    public required NodeRole Role { get; init; }
    public required Reach Reach { get; init; }
    /// <summary>Time since it was last heard; null while it is heard, and when it never was.</summary>
    public TimeSpan? Silence { get; init; }
    public NodeMode Mode { get; set; } = NodeMode.Active;
    public string ModeReason { get; set; } = "";
    public bool Votes { get; set; } = true;
    public bool GuardConnected { get; init; }
    public bool Ready { get; init; }
    public bool PublicUp { get; set; } = true;
    /// <summary>Doors that cannot be opened on it: at most one for each virtual IP.</summary>
    public IReadOnlyList<ShutDoor> ShutDoors { get; set; } = [];
    public double LoadPerCore { get; init; }
    /// <summary>Its agent's version; empty when not known.</summary>
    public string Program { get; set; } = "";
    /// <summary>It said that its agent restarts; what it runs goes on meanwhile.</summary>
    public bool Restarting { get; init; }
    /// <summary>It reaches the coordination store.</summary>
    public bool StoreReachable { get; set; } = true;
    /// <summary>How far its wall clock is ahead of the answering node's (negative: behind), in whole seconds, right to a second
    /// or two; null while one of the two is not known.</summary>
    public TimeSpan? ClockAhead { get; init; }
    /// <summary>It is cut off, or shall be.</summary>
    public FenceReport? Fence { get; init; }
    public bool HasFenceDevice { get; init; }
    /// <summary>Why the answering node could not cut it off now, device by device.</summary>
    public IReadOnlyList<string> FenceProblems { get; set; } = [];
    public IPAddress? Public { get; init; }
    public IReadOnlyList<IPAddress> Private { get; set; } = [];
    /// <summary>What the guard or the agent may not do here, in words: no real-time priority, no nftables, not compiled ahead of time…</summary>
    public IReadOnlyList<string> Limits { get; set; } = [];
    /// <summary>What only that node sees of itself, and somebody should mend; as it last said.</summary>
    public IReadOnlyList<NodeConcern> Concerns { get; set; } = [];
}

/// <param name="Reason">Why it is to be cut off.</param>
/// <param name="Detail">Who confirmed it, or why nobody has so far.</param>
public sealed record FenceReport(FencePhase Phase, string Reason, string Detail);

public sealed record VipReport(string Name, IPAddress Address, Owner? Owner, string Reason)
{
    /// <summary>The owner reports a live lease: the address is really there.</summary>
    public bool Held { get; init; }
    /// <summary>Where somebody asked to move it, until that is done or refused.</summary>
    public NodeName? MovesTo { get; init; }
}

public sealed record ServiceReport
{
    public required string Name { get; init; }
    public required Redundancy Redundancy { get; init; }
    public required Activity Activity { get; init; }
    public required int Wanted { get; init; }
    /// <summary>Single-active services only.</summary>
    public Owner? Owner { get; init; }
    /// <summary>Where somebody asked to move it, until that is done or refused.</summary>
    public NodeName? MovesTo { get; init; }
    public required IReadOnlyList<InstanceReport> Instances { get; init; }
    /// <summary>Where clients reach it, as text: <c>http://203.0.113.10:80</c>.</summary>
    public IReadOnlyList<string> Doors { get; set; } = [];
    public TimeSpan? Rto { get; init; }
    public TimeSpan? Rpo { get; init; }
    /// <summary>Replicated services only.</summary>
    public DataReport? Data { get; init; }
}

/// <summary>Where a replicated service's acknowledged writes surely are.</summary>
/// <param name="InSync">The nodes that have every one of them; empty when nobody knows (the store was restored).</param>
/// <param name="Synchronous">The file asks for a copy on another node before a write is acknowledged.</param>
/// <param name="Strict">Without such a copy writes wait.</param>
/// <param name="Reason">Why the set is as it is.</param>
public sealed record DataReport(IReadOnlyList<NodeName> InSync, bool Synchronous, bool Strict, string Reason)
{
    /// <summary>By quorum: each acknowledged write is on the first of <see cref="InSync"/> and on any so many of the others; null: on all of them.</summary>
    public int? Any { get; init; }
    /// <summary>Why no node's data was taken as the service's own yet, and what to do then; null when nothing speaks against it.</summary>
    public UndecidedReport? Undecided { get; init; }
}

public sealed record UndecidedReport(string What, string Do);

public sealed record InstanceReport(NodeName Node, InstanceStatus Status, Health Health, int Restarts, string Detail)
{
    /// <summary>It runs with settings that only a restart brings into effect; <see cref="Detail"/> says which.</summary>
    public bool RestartPending { get; init; }
    /// <summary>An operator has asked for its restart, which is not done yet.</summary>
    public bool RestartAsked { get; init; }
    /// <summary>Where it is not tried again until something changes; <see cref="Detail"/> says why.</summary>
    public Ban Ban { get; init; }
    /// <summary>By an OCF agent with two roles: how well it could be promoted, negative for not at all; null where nobody says so.</summary>
    public int? PromotionScore { get; init; }
    /// <summary>Single-active services: it acts, under the owner's lease.</summary>
    public bool Active { get; init; }
    /// <summary>A replica: bytes that it has yet to receive from the active one; null where not known.</summary>
    public long? LagBytes { get; init; }
    /// <summary>Transactions among them; null where not known.</summary>
    public long? LagTransactions { get; init; }
    /// <summary>The age of the oldest write among them.</summary>
    public TimeSpan? LagTime { get; init; }
}

/// <summary>How long clients could not be served, as measured.</summary>
/// <param name="Subject"><c>service/web</c>, <c>vip/front</c>.</param>
public sealed record OutageReport(string Subject, DateTimeOffset At, TimeSpan Duration, string Cause);

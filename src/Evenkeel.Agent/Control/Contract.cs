using System.Text.Json.Serialization;
using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

// The control API: HTTP over the agent's local socket, JSON. What the command line, scripts and the dashboard speak.
// Streams (events, logs) are one JSON document a line, and stay open when asked to follow.

/// <summary>Paths of the control API.</summary>
public static class ControlRoutes
{
    public const string Hello = "/v1/hello";
    public const string Status = "/v1/status";
    public const string Plan = "/v1/plan";
    public const string Apply = "/v1/apply";
    /// <summary>Query: <c>after</c> (sequence), <c>limit</c>, <c>follow</c>.</summary>
    public const string Events = "/v1/events";
    public const string Explain = "/v1/services/{service}/explain";
    /// <summary>Query: <c>node</c>, <c>lines</c>, <c>follow</c>.</summary>
    public const string Logs = "/v1/services/{service}/logs";
    public const string Restart = "/v1/services/{service}/restart";
    /// <summary>200 where the answering node's instance has the role, 503 where not; also on the node's <c>roles</c> address.</summary>
    public const string Role = "/v1/services/{service}/{role}";
    public const string NodeMode = "/v1/nodes/{node}/mode";
    public const string Fence = "/v1/nodes/{node}/fence";
    /// <summary>A gzip-compressed tar archive of the node's own diagnostics, secrets cut out.</summary>
    public const string Diagnostics = "/v1/nodes/{node}/diagnostics";
    /// <summary>Looks at all nodes anew, which takes some seconds: answers <see cref="Preflight.PreflightReport"/>.</summary>
    public const string Preflight = "/v1/preflight";
    public const string LogLevels = "/v1/log-levels";
    /// <summary>Of the answering node; only while it holds nothing.</summary>
    public const string GuardRestart = "/v1/guard/restart";
    public const string Moves = "/v1/moves";
    /// <summary>What the writer says, on its node alone.</summary>
    public const string Volume = "/v1/volumes/{volume}";
    public const string VolumeVerify = "/v1/volumes/{volume}/verify";
    public const string Tokens = "/v1/tokens";
    public const string Alerts = "/v1/alerts";
    public const string AlertTest = "/v1/alerts/test";
    public const string Remove = "/v1/nodes/{node}/remove";
    /// <summary>GET: whether the node that answers may leave; POST: it leaves.</summary>
    public const string Leave = "/v1/leave";
    /// <summary>Takes a <see cref="BackupWish"/>.</summary>
    public const string BackupNow = "/v1/backups/{job}/now";
    /// <summary>As <see cref="Remove"/>, and a token for the same name: answers <see cref="NewToken"/>.</summary>
    public const string Replace = "/v1/nodes/{node}/replace";
    public const string Authority = "/v1/authority";
    public const string AuthorityRotation = "/v1/authority/rotation";
    /// <summary>POST: the guards' key is to be replaced.</summary>
    public const string GuardKeys = "/v1/guard-keys";
    /// <summary>Tokens of this API over TLS.</summary>
    public const string ApiTokens = "/v1/api-tokens";
    public const string ApiTokenRevocation = "/v1/api-tokens/{name}/revocation";
    /// <summary>This API, described: OpenAPI 3.1.</summary>
    public const string OpenApi = "/v1/openapi.json";
    /// <summary>Query: <c>limit</c>.</summary>
    public const string Audit = "/v1/audit";
    /// <summary>Prometheus's text format.</summary>
    public const string Metrics = "/metrics";
    public const string ArchiveType = "application/gzip";
    /// <summary>Streams: one JSON document a line.</summary>
    public const string StreamType = "application/x-ndjson";
}

/// <summary>Who answers on a socket.</summary>
public sealed record Hello(string Cluster, NodeName Node, string Version);

public enum ProblemKind
{
    /// <summary>The cluster understood and said no (HTTP 409).</summary>
    Refused,
    /// <summary>No such node, service or virtual IP (404).</summary>
    Unknown,
    /// <summary>The cluster file has errors (422); <see cref="Problem.Diagnostics"/> says which.</summary>
    Configuration,
    /// <summary>It cannot be done now: no controller, no quorum (503). Surely not done.</summary>
    Unavailable,
    /// <summary>The request makes no sense (400).</summary>
    Malformed,
    /// <summary>Over TLS: no token that is good (401), or not of the role that this takes (403).</summary>
    Forbidden,
}

/// <summary>Why a request was not carried out, in words, and what to do.</summary>
public sealed record Problem(ProblemKind Kind, string Message, string? Mend = null)
{
    public IReadOnlyList<Diagnostic> Diagnostics { get; set; } = [];
}

/// <summary>A cluster file to plan or apply, as text: the agent that decides also parses.</summary>
/// <param name="File">The name for diagnostics.</param>
/// <param name="Text">The whole file.</param>
/// <param name="Revision">Apply: the revision that the plan was made against; another one is refused. Null: whatever is there.</param>
public sealed record FileRequest(string File, string Text, long? Revision = null);

/// <param name="Revision">Of the spec that the plan was made against; 0 when there is none yet.</param>
public sealed record PlanReport(long Revision, IReadOnlyList<SpecChange> Changes, IReadOnlyList<Diagnostic> Warnings);

/// <param name="Revision">Of the spec as committed.</param>
public sealed record ApplyReport(long Revision, IReadOnlyList<SpecChange> Changes);

public sealed record NodeModeRequest(NodeMode Mode, string Reason = "");
public enum FenceWish
{
    /// <summary>Cut it off, by its fence devices.</summary>
    Off,
    /// <summary>Switch it on again, by its fence devices (unfencing).</summary>
    On,
    /// <summary>An operator has seen that it is off.</summary>
    Confirm,
    /// <summary>Do not cut it off after all.</summary>
    Cancel,
}

/// <param name="By">Who asks, in words; for the record.</param>
public sealed record FenceOrder(FenceWish Wish, string By = "an operator");
public sealed record MoveOrder(ResourceId Resource, NodeName To);
public sealed record RestartOrder(NodeName Node);

/// <summary>What the answering node's instance of a service is.</summary>
/// <param name="Has">Whether it has the role that was asked for.</param>
/// <param name="State">What it is, in words.</param>
public sealed record RoleReport(string Service, NodeName Node, string Role, bool Has, string State);

/// <param name="Lifetime">Replacing only: of the token, as in <see cref="TokenOrder"/>.</param>
public sealed record RemovalOrder(TimeSpan Lifetime);

/// <param name="Lifetime">More than nothing, at most seven days.</param>
public sealed record TokenOrder(NodeName Node, TimeSpan Lifetime);

/// <summary>All that a server needs to join as a node.</summary>
/// <param name="Token">Good once.</param>
/// <param name="From">Where to enrol: a private address of the node that answers.</param>
/// <param name="AuthorityHash">By which the new server knows the cluster.</param>
public sealed record NewToken(NodeName Node, string Token, string From, string AuthorityHash, DateTimeOffset Ends);

/// <summary>What was done, in words.</summary>
public sealed record Done(string Message)
{
    /// <summary>The coordination store's revision that has it, where that is still to be acted on: <see cref="StatusReport.Revision"/> says what an agent has seen.</summary>
    public long? Revision { get; init; }
}

public enum EventSeverity { Info, Warning, Problem }

/// <param name="Sequence">Grows by one with each event of this agent; where to go on from.</param>
/// <param name="At">Wall clock of the node that reports.</param>
/// <param name="Kind">Stable word for programs: <c>node-lost</c>, <c>owner-changed</c>…</param>
/// <param name="Subject">What it is about: <c>node/n1</c>, <c>vip/front</c>, <c>service/web</c>.</param>
/// <param name="Message">For people.</param>
public sealed record ClusterEvent(long Sequence, DateTimeOffset At, EventSeverity Severity, string Kind, string Subject, string Message);

public sealed record LogLine(DateTimeOffset At, NodeName Node, string Stream, string Text);

/// <summary>A change that somebody asked an agent for.</summary>
/// <param name="Node">Whose agent was asked.</param>
/// <param name="User">The asker's user id on that node, as the kernel says; null when not known.</param>
/// <param name="Name">The asker's user name.</param>
/// <param name="Process">The asker's process id at that time.</param>
/// <param name="What">The change: its route and its particulars.</param>
/// <param name="Outcome"><c>done</c>, <c>refused</c> or <c>failed</c>.</param>
/// <param name="Said">The answer in words.</param>
public sealed record AuditEntry(DateTimeOffset At, NodeName Node, uint? User, string Name, int? Process, string What, string Outcome, string? Said);

public enum Verdict { Chosen, Possible, Excluded }

/// <param name="Score">Greater is better; null when excluded.</param>
/// <param name="Reasons">What spoke for and against the node.</param>
public sealed record NodeVerdict(NodeName Node, Verdict Verdict, long? Score, IReadOnlyList<string> Reasons);

/// <summary>Why a service is where it is.</summary>
public sealed record Explanation(string Service, string Summary, IReadOnlyList<NodeVerdict> Nodes)
{
    public Owner? Owner { get; init; }
    /// <summary>The events that led here, the newest last.</summary>
    public IReadOnlyList<ClusterEvent> History { get; set; } = [];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, Converters = [typeof(IPAddressConverter)])]
[JsonSerializable(typeof(Hello))]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(FileRequest))]
[JsonSerializable(typeof(PlanReport))]
[JsonSerializable(typeof(ApplyReport))]
[JsonSerializable(typeof(NodeModeRequest))]
[JsonSerializable(typeof(FenceOrder))]
[JsonSerializable(typeof(MoveOrder))]
[JsonSerializable(typeof(RestartOrder))]
[JsonSerializable(typeof(RoleReport))]
[JsonSerializable(typeof(TokenOrder))]
[JsonSerializable(typeof(RemovalOrder))]
[JsonSerializable(typeof(NewToken))]
[JsonSerializable(typeof(LogLevelsReport))]
[JsonSerializable(typeof(LogLevelOrder))]
[JsonSerializable(typeof(Done))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(ClusterEvent))]
[JsonSerializable(typeof(LogLine))]
[JsonSerializable(typeof(Explanation))]
[JsonSerializable(typeof(AuditEntry))]
[JsonSerializable(typeof(TrustStatus))]
[JsonSerializable(typeof(ApiTokenOrder))]
[JsonSerializable(typeof(NewApiToken))]
[JsonSerializable(typeof(ApiTokenList))]
[JsonSerializable(typeof(AuthorityRotation))]
[JsonSerializable(typeof(BackupWish))]
[JsonSerializable(typeof(AlertsReport))]
[JsonSerializable(typeof(AlertTest))]
[JsonSerializable(typeof(AlertMessage))]
[JsonSerializable(typeof(VerifyOrder))]
[JsonSerializable(typeof(VerifyBegun))]
[JsonSerializable(typeof(Core.Volumes.WriterReport))]
public sealed partial class ControlJson : JsonSerializerContext;

using System.Text.Json.Serialization.Metadata;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Preflight;

namespace Evenkeel.Agent.Api;

/// <param name="Name">Of a part of the query.</param>
/// <param name="Type"><c>integer</c>, <c>boolean</c> or <c>string</c>.</param>
internal sealed record QueryPart(string Name, string Type, string Help);

/// <summary>One route of the control API: what it is for, who may use it, what goes in and out.</summary>
/// <param name="Answer">Null: the answer is no JSON, see <see cref="ContentType"/>.</param>
internal sealed record ApiRoute(string Method, string Path, ApiRole Role, string Summary, JsonTypeInfo? Request = null, JsonTypeInfo? Answer = null)
{
    public string ContentType { get; init; } = "application/json";
    public IReadOnlyList<QueryPart> Query { get; init; } = [];
}

/// <summary>Every route, with the role that it takes over TLS: read by the gate, by the OpenAPI document, and by people. A route that is not here takes an admin.</summary>
internal static class ApiRoutes
{
    private static readonly ControlJson s_json = ControlJson.Default;
    private static readonly QueryPart s_follow = new("follow", "boolean", "Whether the answer stays open and brings what comes.");

    public static IReadOnlyList<ApiRoute> All { get; } =
    [
        Get(ControlRoutes.Hello, ApiRole.Viewer, "Who answers", s_json.Hello),
        Get(ControlRoutes.Status, ApiRole.Viewer, "How the cluster is", s_json.StatusReport),
        Get(ControlRoutes.Events, ApiRole.Viewer, "What happened, one JSON document a line", s_json.ClusterEvent) with
        {
            ContentType = ControlRoutes.StreamType,
            Query = [new("after", "integer", "Only events with a greater sequence number."), new("limit", "integer", "At most so many of those that are kept."), s_follow],
        },
        Get(ControlRoutes.Explain, ApiRole.Viewer, "Why a service is where it is", s_json.Explanation),
        Get(ControlRoutes.Alerts, ApiRole.Viewer, "Alerts and their receivers", s_json.AlertsReport),
        Get(ControlRoutes.Authority, ApiRole.Viewer, "Whom the cluster trusts, and how far a change of that is", s_json.TrustStatus),
        Get(ControlRoutes.Metrics, ApiRole.Viewer, "Metrics in Prometheus's text format") with { ContentType = "text/plain" },
        Get(ControlRoutes.OpenApi, ApiRole.Viewer, "This document"),
        Get(ControlRoutes.Role, ApiRole.Viewer, "200 where the answering node's instance has the role (primary, standby, synchronous, healthy), 503 where not", s_json.RoleReport),
        Get(ControlRoutes.Volume, ApiRole.Viewer, "What a volume's writer says, on its node alone", s_json.WriterReport),
        Get(ControlRoutes.LogLevels, ApiRole.Viewer, "What the answering agent logs", s_json.LogLevelsReport),
        Post(ControlRoutes.Plan, ApiRole.Viewer, "What applying a cluster file would change; changes nothing", s_json.FileRequest, s_json.PlanReport),
        Get(ControlRoutes.Logs, ApiRole.Operator, "A service's output, one JSON document a line", s_json.LogLine) with
        {
            ContentType = ControlRoutes.StreamType,
            Query = [new("node", "string", "Of this node alone."), new("lines", "integer", "How many of the past."), s_follow],
        },
        Get(ControlRoutes.Diagnostics, ApiRole.Operator, "A node's diagnostics, secrets cut out: a gzip-compressed tar archive") with { ContentType = ControlRoutes.ArchiveType },
        Post(ControlRoutes.NodeMode, ApiRole.Operator, "Drains a node, or has it serve again", s_json.NodeModeRequest, s_json.Done),
        Post(ControlRoutes.Moves, ApiRole.Operator, "Moves a virtual IP or a single-active service", s_json.MoveOrder, s_json.Done),
        Post(ControlRoutes.Fence, ApiRole.Operator, "Cuts a node off, or says that it is", s_json.FenceOrder, s_json.Done),
        Get(ControlRoutes.Preflight, ApiRole.Operator, "Looks at all nodes anew, which takes some seconds", PreflightJson.Default.PreflightReport),
        Post(ControlRoutes.LogLevels, ApiRole.Operator, "Changes what the answering agent logs", s_json.LogLevelOrder, s_json.Done),
        Post(ControlRoutes.Restart, ApiRole.Operator, "Restarts a service's instance on a node", s_json.RestartOrder, s_json.Done),
        Post(ControlRoutes.GuardRestart, ApiRole.Operator, "Has the answering node's guard start anew, while it holds nothing", null, s_json.Done),
        Post(ControlRoutes.BackupNow, ApiRole.Operator, "Runs a backup job now", s_json.BackupWish, s_json.Done),
        Post(ControlRoutes.VolumeVerify, ApiRole.Operator, "Compares a volume's legs, on its writer's node", s_json.VerifyOrder, s_json.VerifyBegun),
        Post(ControlRoutes.AlertTest, ApiRole.Operator, "Sends a test to receivers of alerts", s_json.AlertTest, s_json.Done),
        Post(ControlRoutes.Apply, ApiRole.Admin, "Makes a cluster file the one in force", s_json.FileRequest, s_json.ApplyReport),
        Post(ControlRoutes.Tokens, ApiRole.Admin, "A one-time token that lets a server join as a node", s_json.TokenOrder, s_json.NewToken),
        Post(ControlRoutes.Remove, ApiRole.Admin, "Takes a node out of the cluster", s_json.RemovalOrder, s_json.Done),
        Post(ControlRoutes.Replace, ApiRole.Admin, "Takes a node out, and makes a token for a server in its place", s_json.RemovalOrder, s_json.NewToken),
        Get(ControlRoutes.Leave, ApiRole.Admin, "Whether the node that answers may leave the cluster; changes nothing", s_json.Done),
        Post(ControlRoutes.Leave, ApiRole.Admin, "The node that answers leaves the cluster; it must be drained", null, s_json.Done),
        Post(ControlRoutes.AuthorityRotation, ApiRole.Admin, "Puts another certificate authority in the place of the present one", s_json.AuthorityRotation, s_json.Done),
        Post(ControlRoutes.GuardKeys, ApiRole.Admin, "Has the guards' key replaced", null, s_json.Done),
        Get(ControlRoutes.ApiTokens, ApiRole.Admin, "The tokens of this API, without their secrets", s_json.ApiTokenList),
        Post(ControlRoutes.ApiTokens, ApiRole.Admin, "A new token of this API", s_json.ApiTokenOrder, s_json.NewApiToken),
        Post(ControlRoutes.ApiTokenRevocation, ApiRole.Admin, "Ends a token of this API", null, s_json.Done),
        Get(ControlRoutes.Audit, ApiRole.Admin, "Who changed what by way of this node, one JSON document a line", s_json.AuditEntry) with
        {
            ContentType = ControlRoutes.StreamType, Query = [new("limit", "integer", "How many of the last.")],
        },
    ];

    /// <summary>The role that a request takes.</summary>
    /// <param name="pattern">Of the route that it matched; null when none.</param>
    public static ApiRole RoleOf(string method, string? pattern) => All.FirstOrDefault(route => route.Path == pattern && route.Method == method)?.Role ?? ApiRole.Admin;

    private static ApiRoute Get(string path, ApiRole role, string summary, JsonTypeInfo? answer = null) => new("GET", path, role, summary, null, answer);

    private static ApiRoute Post(string path, ApiRole role, string summary, JsonTypeInfo? request, JsonTypeInfo answer) => new("POST", path, role, summary, request, answer);
}

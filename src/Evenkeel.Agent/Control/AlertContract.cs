using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

public enum AlertState { Firing, Resolved }

/// <summary>Findings of one kind about one subject, since they are there.</summary>
/// <param name="Alert">The stable word, as in <c>docs/operations/alerts.md</c>.</param>
public sealed record StandingAlert(string Alert, string Subject, Concern Concern, string What, string Do, DateTimeOffset Since)
{
    /// <summary>When it was over.</summary>
    public DateTimeOffset? Until { get; init; }
}

/// <param name="Waiting">Messages that it has yet to get.</param>
/// <param name="LastDone">When this agent last delivered one to it; null: never.</param>
/// <param name="Problem">Why the last attempt failed; empty when it did not.</param>
public sealed record ReceiverReport(string Name, string Where, Concern From, int Waiting, DateTimeOffset? LastDone, string Problem);

/// <param name="Speaks">The agent that answers is the one that tells the receivers.</param>
public sealed record AlertsReport(NodeName AnsweredBy, bool Speaks, IReadOnlyList<StandingAlert> Standing, IReadOnlyList<ReceiverReport> Receivers);

/// <param name="Receiver">Null: every one.</param>
public sealed record AlertTest(string? Receiver);

/// <summary>What a receiver gets.</summary>
/// <param name="Version">Of this format: 1.</param>
/// <param name="State"><c>firing</c> or <c>resolved</c>.</param>
/// <param name="Concern"><c>note</c>, <c>degraded</c> or <c>down</c>.</param>
/// <param name="Fingerprint">The same for the same alert about the same subject of the same cluster, whoever tells it.</param>
public sealed record AlertMessage(
    int Version, string Cluster, NodeName Node, string State, string Alert, string Concern, string Subject, string What, string Do, string Fingerprint, DateTimeOffset Since, DateTimeOffset? Until);

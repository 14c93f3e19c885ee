using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Agent.Control;

namespace Evenkeel.Cli;

/// <summary>What <c>status --output json</c> prints: the report, and what to think of it.</summary>
public sealed record StatusDocument(bool AllRight, IReadOnlyList<Finding> Findings, StatusReport Report);

/// <summary>JSON for <c>--output json</c>: indented, the same names as the control API.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    Converters = [typeof(IPAddressConverter)])]
[JsonSerializable(typeof(StatusDocument))]
[JsonSerializable(typeof(PlanReport))]
[JsonSerializable(typeof(ApplyReport))]
[JsonSerializable(typeof(Explanation))]
[JsonSerializable(typeof(Evenkeel.Agent.Preflight.PreflightReport))]
[JsonSerializable(typeof(LogLevelsReport))]
[JsonSerializable(typeof(Done))]
[JsonSerializable(typeof(NewToken))]
[JsonSerializable(typeof(AlertsReport))]
[JsonSerializable(typeof(TrustStatus))]
[JsonSerializable(typeof(NewApiToken))]
[JsonSerializable(typeof(ApiTokenList))]
[JsonSerializable(typeof(IReadOnlyList<BackupReport>))]
[JsonSerializable(typeof(IReadOnlyList<VolumeReport>))]
[JsonSerializable(typeof(Evenkeel.Core.Volumes.WriterReport))]
[JsonSerializable(typeof(IReadOnlyList<Evenkeel.Agent.Setup.StateSnapshot>))]
public sealed partial class ClientJson : JsonSerializerContext;

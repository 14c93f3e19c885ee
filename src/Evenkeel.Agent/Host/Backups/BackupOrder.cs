using System.Text.Json.Serialization;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Backups;

/// <summary>
/// All that the program that does a backup job's task must know; it comes as one line of JSON on its standard input, which stays
/// open for as long as it may work.
/// </summary>
/// <param name="Host">The name under which its snapshots belong together.</param>
/// <param name="Connection">PostgreSQL: how psql reaches the server on this node.</param>
/// <param name="StateDirectory">The agent's own.</param>
public sealed record BackupOrder(BackupSpec Spec, BackupTask Task, string Cluster, NodeName Node, string Host, string StateDirectory, string? Connection = null);

/// <summary>The last line that the program writes.</summary>
public sealed record BackupAnswer(bool Good, string Words)
{
    public string? Snapshot { get; init; }
    public long Files { get; init; }
    public long BytesRead { get; init; }
    public long BytesStored { get; init; }
    public IReadOnlyList<string> Warnings { get; set; } = [];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BackupOrder))]
[JsonSerializable(typeof(BackupAnswer))]
public sealed partial class BackupOrderJson : JsonSerializerContext;

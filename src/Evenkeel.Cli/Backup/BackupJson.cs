using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

internal sealed record SnapshotView(
    string Id, string Time, string Type, string? Parent, string? Host, IReadOnlyList<string> Paths, IReadOnlyList<string> Tags, SnapshotSummary? Summary,
    string? Proven = null)
{
    public static SnapshotView Of(Snapshot s) => new(
        s.Id.ToString(), s.Time, BackupTags.Of(BackupTags.TypeOf(s)), s.Parent, s.Hostname, s.Paths, s.Tags ?? [], s.Summary);
}

internal sealed record RunView(SnapshotView Snapshot, string RequestedType, IReadOnlyList<BackupIncident> Incidents);

internal sealed record RepositoryView(string Location, int Version, string Id);

internal sealed record NodeView(string Path, string Kind, ulong Size, string Modified);

internal sealed record DecisionView(SnapshotView Snapshot, bool Keep, IReadOnlyList<string> Reasons);

internal sealed record RestoreTestView(
    string Snapshot, bool Passed, long Files, long Bytes, double RestoreSeconds, double StartSeconds, string Answer, string? Problem);

internal sealed record ScoreView(string? Host, IReadOnlyList<string> Paths, IReadOnlyList<ScorePart> Parts);

internal sealed record KeyView(string Id, string Created, string Username, string Hostname, bool Current);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(IReadOnlyList<SnapshotView>))]
[JsonSerializable(typeof(RunView))]
[JsonSerializable(typeof(RepositoryView))]
[JsonSerializable(typeof(IReadOnlyList<NodeView>))]
[JsonSerializable(typeof(IReadOnlyList<DecisionView>))]
[JsonSerializable(typeof(IReadOnlyList<KeyView>))]
[JsonSerializable(typeof(IReadOnlyList<Difference>))]
[JsonSerializable(typeof(RestoreResult))]
[JsonSerializable(typeof(VerifyResult))]
[JsonSerializable(typeof(PruneResult))]
[JsonSerializable(typeof(RepairResult))]
[JsonSerializable(typeof(IReadOnlyList<ScoreView>))]
[JsonSerializable(typeof(IReadOnlyList<DateTimeOffset>))]
[JsonSerializable(typeof(RestoreTestView))]
internal sealed partial class BackupJson : JsonSerializerContext
{
    public static string Text<T>(T value) => JsonSerializer.Serialize(value, typeof(T), Default);
}

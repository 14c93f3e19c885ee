using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Snapshots;

/// <summary>One backup: a tree with its circumstances, a file in <c>snapshots/</c>.</summary>
public sealed record Snapshot
{
    /// <summary>When it began, RFC 3339.</summary>
    [JsonPropertyName("time"), JsonPropertyOrder(0)]
    public required string Time { get; init; }

    /// <summary>The snapshot that unchanged files were taken over from.</summary>
    [JsonPropertyName("parent"), JsonPropertyOrder(1)]
    public string? Parent { get; init; }

    /// <summary>The root directory's tree.</summary>
    [JsonPropertyName("tree"), JsonPropertyOrder(2)]
    public required string Tree { get; init; }

    /// <summary>What was backed up, absolute.</summary>
    [JsonPropertyName("paths"), JsonPropertyOrder(3)]
    public required IReadOnlyList<string> Paths { get; init; }

    /// <summary>The machine that was backed up.</summary>
    [JsonPropertyName("hostname"), JsonPropertyOrder(4)]
    public string? Hostname { get; init; }

    /// <summary>Who made the backup.</summary>
    [JsonPropertyName("username"), JsonPropertyOrder(5)]
    public string? Username { get; init; }

    /// <summary>The user's number.</summary>
    [JsonPropertyName("uid"), JsonPropertyOrder(6), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public uint UserId { get; init; }

    /// <summary>The group's number.</summary>
    [JsonPropertyName("gid"), JsonPropertyOrder(7), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public uint GroupId { get; init; }

    /// <summary>The patterns that were left out.</summary>
    [JsonPropertyName("excludes"), JsonPropertyOrder(8)]
    public IReadOnlyList<string>? Excludes { get; init; }

    /// <summary>Labels; <see cref="BackupTags"/> are among them.</summary>
    [JsonPropertyName("tags"), JsonPropertyOrder(9)]
    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>The snapshot that this one was rewritten or copied from.</summary>
    [JsonPropertyName("original"), JsonPropertyOrder(10)]
    public string? Original { get; init; }

    /// <summary>What the backup did; absent in what older programs wrote.</summary>
    [JsonPropertyName("summary"), JsonPropertyOrder(11)]
    public SnapshotSummary? Summary { get; init; }

    /// <summary>What a newer program wrote and this one does not know; kept when rewritten.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Further { get; set; }

    /// <summary>The name of the file that held it.</summary>
    [JsonIgnore]
    public ObjectId Id { get; init; }

    /// <summary>When the place that keeps it says that it came; null where nobody but the writer could tell.</summary>
    [JsonIgnore]
    public DateTimeOffset? Arrived { get; init; }

    /// <summary><see cref="Time"/> as a point in time.</summary>
    [JsonIgnore]
    public DateTimeOffset When => Timestamp.TryParse(Time, out var time) ? time.ToDateTimeOffset() : DateTimeOffset.UnixEpoch;

    /// <summary><see cref="Tree"/> as an id.</summary>
    [JsonIgnore]
    public ObjectId TreeId => ObjectId.TryParse(Tree.AsSpan(), out var id) ? id
        : throw new RepositoryException(RepositoryError.Damaged, $"snapshot {Id.Brief} names no tree");

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, SnapshotJson.Compact.Snapshot);

    internal static Snapshot Parse(ReadOnlySpan<byte> json, ObjectId id)
    {
        try
        {
            var snapshot = JsonSerializer.Deserialize(json, SnapshotJson.Compact.Snapshot);
            if (snapshot is { Tree: not null, Time: not null, Paths: not null })
            {
                return snapshot with { Id = id };
            }
        }
        catch (JsonException)
        {
            // the same answer as below
        }
        throw new RepositoryException(RepositoryError.Damaged, $"snapshot {id.Brief} is not valid");
    }
}

[JsonSerializable(typeof(Snapshot))]
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class SnapshotJson : JsonSerializerContext
{
    /// <summary>Non-ASCII paths stay readable.</summary>
    public static readonly SnapshotJson Compact = new(new JsonSerializerOptions
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    });
}

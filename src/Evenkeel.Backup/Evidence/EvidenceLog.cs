using System.Text.Json;
using System.Text.Json.Serialization;

namespace Evenkeel.Backup.Evidence;

/// <summary>Something that was proven about a repository or a snapshot, or failed to be.</summary>
/// <param name="Repository">The repository's id.</param>
/// <param name="Snapshot">The snapshot's id; null for the whole repository.</param>
/// <param name="Kind"><c>verify</c> or <c>restore-test</c>.</param>
/// <param name="At">When it ended.</param>
/// <param name="Passed">Whether it was as it should be.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Share">For <c>verify</c>: how much of the packs was read, 0 to 1.</param>
/// <param name="Detail">What was done, or what failed.</param>
public sealed record EvidenceRecord(
    string Repository, string? Snapshot, string Kind, DateTimeOffset At, bool Passed, double Seconds, double Share, string Detail);

/// <summary>Remembers on this machine what was proven: one JSON object a line, appended.</summary>
/// <remarks>Not in the repository: a proof that an attacker of the repository could write proves nothing, and restic's format has no place for it.</remarks>
public sealed class EvidenceLog(string directory)
{
    private const int LongestDetail = 2000;
    private const long Largest = 16 << 20;
    private readonly string _file = Path.Combine(directory, "evidence.jsonl");

    /// <summary>In <c>EVENKEEL_BACKUP_STATE</c>; else /var/lib/evenkeel/backup for root and ~/.local/state/evenkeel/backup for others.</summary>
    public static EvidenceLog Open()
    {
        var named = Environment.GetEnvironmentVariable("EVENKEEL_BACKUP_STATE");
        return new EvidenceLog(!string.IsNullOrEmpty(named) ? named : Environment.UserName == "root" ? "/var/lib/evenkeel/backup"
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local/state/evenkeel/backup"));
    }

    /// <summary>Appends a record; fails with an <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/>.</summary>
    public void Add(EvidenceRecord record)
    {
        Directory.CreateDirectory(directory);
        var cut = record.Detail.Length > LongestDetail ? record with { Detail = record.Detail[..LongestDetail] } : record;
        using var file = new FileStream(_file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        file.Write([.. JsonSerializer.SerializeToUtf8Bytes(cut, EvidenceJson.Default.EvidenceRecord), (byte)'\n']);
    }

    /// <summary>The records of a repository, oldest first; unreadable lines (a crash while appending) are left out.</summary>
    public IReadOnlyList<EvidenceRecord> Read(string repository)
    {
        if (!File.Exists(_file) || new FileInfo(_file).Length > Largest)
        {
            return [];
        }
        var records = new List<EvidenceRecord>();
        foreach (var line in File.ReadLines(_file))
        {
            try
            {
                if (JsonSerializer.Deserialize(line, EvidenceJson.Default.EvidenceRecord) is { } record && record.Repository == repository)
                {
                    records.Add(record);
                }
            }
            catch (JsonException)
            {
                continue;
            }
        }
        return records;
    }
}

[JsonSerializable(typeof(EvidenceRecord))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class EvidenceJson : JsonSerializerContext;

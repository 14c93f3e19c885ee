using System.Text.Json.Serialization;

namespace Evenkeel.Backup.Snapshots;

/// <summary>What a backup did, stored in the snapshot with the names that restic 0.17 and later use.</summary>
public sealed record SnapshotSummary
{
    /// <summary>When it began.</summary>
    [JsonPropertyName("backup_start")]
    public required string Start { get; init; }

    /// <summary>When all data was stored.</summary>
    [JsonPropertyName("backup_end")]
    public required string End { get; init; }

    /// <summary>Files that the parent did not have.</summary>
    [JsonPropertyName("files_new")]
    public long FilesNew { get; init; }

    /// <summary>Files read because they differ from the parent's.</summary>
    [JsonPropertyName("files_changed")]
    public long FilesChanged { get; init; }

    /// <summary>Files that do not differ from the parent's.</summary>
    [JsonPropertyName("files_unmodified")]
    public long FilesUnmodified { get; init; }

    /// <summary>New data blobs.</summary>
    [JsonPropertyName("data_blobs")]
    public long DataBlobs { get; init; }

    /// <summary>New tree blobs.</summary>
    [JsonPropertyName("tree_blobs")]
    public long TreeBlobs { get; init; }

    /// <summary>Bytes of new blobs before compression.</summary>
    [JsonPropertyName("data_added")]
    public long DataAdded { get; init; }

    /// <summary>Bytes of new blobs as stored.</summary>
    [JsonPropertyName("data_added_packed")]
    public long DataAddedPacked { get; init; }

    /// <summary>Files in the snapshot.</summary>
    [JsonPropertyName("total_files_processed")]
    public long TotalFiles { get; init; }

    /// <summary>Bytes in the snapshot's files.</summary>
    [JsonPropertyName("total_bytes_processed")]
    public long TotalBytes { get; init; }

    /// <summary>Bytes of them that were read from the source; the others were taken over from an earlier snapshot. Not restic's: null in what it wrote.</summary>
    [JsonPropertyName("evenkeel_bytes_read")]
    public long? BytesRead { get; init; }
}

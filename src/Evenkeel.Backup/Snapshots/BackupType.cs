namespace Evenkeel.Backup.Snapshots;

/// <summary>How much of the source a backup reads.</summary>
public enum BackupType
{
    /// <summary>Everything is read again; there is no parent.</summary>
    Full,

    /// <summary>Files that are unchanged since the last full backup are taken over from it.</summary>
    Differential,

    /// <summary>Files that are unchanged since the last backup of any type are taken over from it.</summary>
    Incremental,

    /// <summary>As full, in a repository of its own, which shares nothing with another one.</summary>
    Independent,
}

/// <summary>The tags by which snapshots carry their type; other tools show and keep them.</summary>
public static class BackupTags
{
    /// <summary>The tag of a type.</summary>
    public static string Of(BackupType type) => type switch
    {
        BackupType.Full => "full",
        BackupType.Differential => "differential",
        BackupType.Independent => "independent",
        _ => "incremental",
    };

    /// <summary>The type that a snapshot says it has; without a tag (restic's own) a snapshot with a parent is incremental.</summary>
    public static BackupType TypeOf(Snapshot snapshot)
    {
        foreach (var type in Enum.GetValues<BackupType>())
        {
            if (snapshot.Tags?.Contains(Of(type)) == true)
            {
                return type;
            }
        }
        return snapshot.Parent is null ? BackupType.Full : BackupType.Incremental;
    }

    /// <summary>Whether everything is read, whatever there is.</summary>
    public static bool IsWhole(BackupType type) => type is BackupType.Full or BackupType.Independent;

    /// <summary>
    /// The snapshot that a new one of this type builds on: the newest (or newest full) of the same machine and paths, not later
    /// than now; null when there is none.
    /// </summary>
    public static Snapshot? ParentFor(
        BackupType type, IEnumerable<Snapshot> snapshots, string host, IReadOnlyList<string> paths, DateTimeOffset now) =>
        IsWhole(type) ? null : snapshots
            .Where(s => s.Hostname == host && s.When <= now && s.Paths.Order(StringComparer.Ordinal).SequenceEqual(paths.Order(StringComparer.Ordinal)))
            .Where(s => type == BackupType.Incremental || IsWhole(TypeOf(s)))
            .MaxBy(s => s.When);
}

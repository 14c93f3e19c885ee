using System.Text.Json.Serialization;

namespace Evenkeel.Core.Model;

/// <summary>What a backup job does at a moment of one of its schedules; of several that are due at once the first goes first.</summary>
public enum BackupTask
{
    /// <summary>Everything is read again.</summary>
    Full,
    /// <summary>What changed since the last full one.</summary>
    Differential,
    /// <summary>What changed since the last one of any type.</summary>
    Incremental,
    /// <summary>A full one that goes to the second repository, and shares nothing with the first.</summary>
    Independent,
    /// <summary>Data that no snapshot needs any more is removed.</summary>
    Prune,
    /// <summary>A share of the repository is read and checked.</summary>
    Verify,
}

/// <summary>A backup job of the cluster's file. What it protects is a service, files of nodes, or the cluster's own state.</summary>
public sealed record BackupSpec
{
    public required string Name { get; init; }
    /// <summary>The service whose data it is; null for files of nodes.</summary>
    public string? Service { get; init; }
    /// <summary>Absolute; <c>{node}</c> is filled in. Empty for a PostgreSQL service, which has its own way.</summary>
    public IReadOnlyList<string> Paths { get; set; } = [];
    /// <summary>The cluster's committed state and the agents' configuration are among what is backed up.</summary>
    public bool State { get; init; }
    /// <summary>Who may do it, the best first; empty: every node that is no witness.</summary>
    public IReadOnlyList<NodeName> Nodes { get; set; } = [];
    /// <summary>Every one of the nodes backs up its own files, each for itself.</summary>
    public bool Each { get; init; }
    public required BackupPlace Repository { get; init; }
    /// <summary>Where <see cref="BackupTask.Independent"/> ones go.</summary>
    public BackupPlace? Second { get; init; }
    /// <summary>Calendar words or cron, for each task that has a schedule.</summary>
    public required IReadOnlyDictionary<BackupTask, string> Schedules { get; init; }
    /// <summary>IANA name of the zone whose clocks the schedules mean.</summary>
    public string TimeZone { get; set; } = "UTC";
    /// <summary>Null: nothing is ever removed.</summary>
    public BackupKeepSpec? Keep { get; init; }
    public IReadOnlyList<string> Exclude { get; set; } = [];
    public IReadOnlyList<string> FixedBlocks { get; set; } = [];
    public bool OneFileSystem { get; init; }
    /// <summary>Shell commands around it: the first freezes an application, the second thaws it in every case.</summary>
    public string? Before { get; init; }
    public string? After { get; init; }
    /// <summary>The files are read from a snapshot of their file system: <c>btrfs</c> or <c>lvm</c>; null: as they are.</summary>
    public string? FileSystemSnapshot { get; init; }
    /// <summary>Percent of the repository that a verification reads.</summary>
    public int VerifyPercent { get; set; } = 5;
    /// <summary>An older last good backup is told to people.</summary>
    public TimeSpan? LongestAge { get; init; }
    /// <summary>A run that takes longer is ended.</summary>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromHours(24);
}

/// <summary>A repository as the nodes reach it.</summary>
/// <param name="Location">As the command line names places.</param>
/// <param name="PasswordFile">A file on each node with the repository's password.</param>
/// <param name="CredentialsFile">A file on each node with <c>USER:PASSWORD</c> for a server (or <c>KEY:SECRET</c> for S3).</param>
/// <param name="MaintenanceFile">The same for those who may remove, where others may only add.</param>
/// <param name="AuthorityFile">PEM file of the only authorities to trust.</param>
public sealed record BackupPlace(string Location, string PasswordFile, string? CredentialsFile = null, string? MaintenanceFile = null, string? AuthorityFile = null);

/// <summary>Retention: the newest of each of so many periods.</summary>
public sealed record BackupKeepSpec
{
    public int Last { get; init; }
    public int Hourly { get; init; }
    public int Daily { get; init; }
    public int Weekly { get; init; }
    public int Monthly { get; init; }
    public int Yearly { get; init; }
    public TimeSpan? Within { get; init; }
    [JsonIgnore]
    public bool IsEmpty => Last + Hourly + Daily + Weekly + Monthly + Yearly == 0 && Within is null;
}

using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>What to back up, and how.</summary>
public sealed record BackupRequest
{
    /// <summary>Files and directories; relative ones are taken from the current directory.</summary>
    public required IReadOnlyList<string> Paths { get; init; }

    /// <summary>Full, differential, incremental or independent; without a fitting parent every type reads everything.</summary>
    public BackupType Type { get; init; } = BackupType.Incremental;

    /// <summary>Where the source itself knows what changed: this decides then what is read and what the snapshot builds on, not the type.</summary>
    public KnownChanges? Changes { get; init; }

    /// <summary>The machine's name in the snapshot.</summary>
    public string Host { get; init; } = Environment.MachineName;

    /// <summary>Further tags.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>What is left out.</summary>
    public PathPatterns Excludes { get; init; } = PathPatterns.None;

    /// <summary>Files cut into fixed 64 KiB blocks: databases and disk images, whose pages change in place.</summary>
    public PathPatterns FixedBlocks { get; init; } = PathPatterns.None;

    /// <summary>Whether directories on other file systems are left empty.</summary>
    public bool OneFileSystem { get; init; }

    /// <summary>Whether the type goes into the snapshot as a tag; without, snapshots look like restic's.</summary>
    public bool TagType { get; init; } = true;

    /// <summary>
    /// Called with the root's tree once everything is stored, before the snapshot is written; what it gives back goes into the snapshot.
    /// With a failure there is no snapshot.
    /// </summary>
    public Func<ObjectId, Task<IReadOnlyList<GraftedFile>>>? Finish { get; init; }

    /// <summary>Packs grow to this many bytes.</summary>
    public int PackSize { get; init; } = BlobWriter.DefaultPackSize;
}

/// <summary>A file that could not be backed up as it stood.</summary>
/// <param name="Path">Which, for people.</param>
/// <param name="Reason">What happened.</param>
/// <param name="Lost">Whether it is missing from the snapshot because of an error (not merely changed or vanished while read).</param>
public sealed record BackupIncident(string Path, string Reason, bool Lost);

/// <summary>A finished backup.</summary>
/// <param name="Snapshot">As stored.</param>
/// <param name="Summary">What was done.</param>
/// <param name="Incidents">Files with problems.</param>
/// <param name="RequestedType">What was asked for.</param>
/// <param name="ActualType">What it became: full when there was no parent to build on.</param>
public sealed record BackupResult(
    Snapshot Snapshot, SnapshotSummary Summary, IReadOnlyList<BackupIncident> Incidents, BackupType RequestedType, BackupType ActualType);

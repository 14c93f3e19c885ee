namespace Evenkeel.Backup.Engine;

/// <summary>What to restore, and where to.</summary>
public sealed record RestoreRequest
{
    /// <summary>The directory that the snapshot's root is restored into; <c>/</c> restores in place.</summary>
    public required string Target { get; init; }

    /// <summary>Only this path of the snapshot and what is below it; null restores everything.</summary>
    public string? Path { get; init; }

    /// <summary>Whether to write nothing and only say what would change.</summary>
    public bool DryRun { get; init; }
}

/// <summary>What a restore does to one path.</summary>
/// <param name="Path">Absolute, in the target.</param>
/// <param name="Action"><c>create</c>, <c>replace</c> or <c>keep</c>.</param>
public sealed record RestoreStep(string Path, string Action);

/// <summary>A finished restore.</summary>
/// <param name="Files">Files written or found to be right.</param>
/// <param name="Bytes">Bytes of them.</param>
/// <param name="Problems">What could not be restored, path and reason.</param>
/// <param name="Steps">In a dry run: what would be done.</param>
public sealed record RestoreResult(long Files, long Bytes, IReadOnlyList<BackupIncident> Problems, IReadOnlyList<RestoreStep> Steps);

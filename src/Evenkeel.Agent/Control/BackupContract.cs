using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>A backup job as status shows it. Times are those of the nodes' wall clocks.</summary>
/// <param name="Job">The job's key: its name, or <c>NAME.NODE</c> where each node backs up for itself.</param>
/// <param name="Source">What it protects, in words.</param>
public sealed record BackupReport(string Job, string Source, string Repository)
{
    /// <summary>Who is at it; null while nobody is.</summary>
    public BackupRun? Running { get; init; }
    /// <summary>The last run that ended.</summary>
    public BackupResult? Last { get; init; }
    /// <summary>The last good backup.</summary>
    public BackupResult? LastGood { get; init; }
    /// <summary>Failed runs since the last good one.</summary>
    public int Failures { get; init; }
    /// <summary>Not tried again before.</summary>
    public DateTimeOffset? NotBefore { get; init; }
    /// <summary>The next scheduled backup.</summary>
    public BackupTask? NextTask { get; init; }
    public DateTimeOffset? Next { get; init; }
    /// <summary>The scheduled moment that passed without a backup; null when none did.</summary>
    public DateTimeOffset? Missed { get; init; }
    /// <summary>An older last good backup is too old; null: see <see cref="Missed"/>.</summary>
    public TimeSpan? LongestAge { get; init; }
}

/// <summary>An operator wants a backup now.</summary>
public sealed record BackupWish(BackupTask Task);

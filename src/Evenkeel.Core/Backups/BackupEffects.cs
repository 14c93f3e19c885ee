using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop;

/// <summary>
/// Do a backup job's task, apart from the agent so that it delays no beat; answered by exactly one <see cref="BackupEnded"/>.
/// </summary>
/// <param name="Service">The service whose data it is; null for files of the node.</param>
public sealed record RunBackup(string Job, long Number, BackupTask Task, BackupSpec Spec, ServiceSpec? Service) : Effect;

/// <summary>End a run; its <see cref="BackupEnded"/> follows all the same.</summary>
public sealed record StopBackup(string Job, long Number, string Why) : Effect;

/// <summary>A run ended, by itself or because it was to.</summary>
public sealed record BackupEnded(string Job, long Number, BackupResult Result) : AgentEvent;

/// <summary>What is due by this host's calendar; replaces what was said before.</summary>
public sealed record BackupsDue(IReadOnlyList<Backups.DueBackup> Due) : AgentEvent;

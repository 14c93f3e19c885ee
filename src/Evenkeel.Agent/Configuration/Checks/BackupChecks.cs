using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Policy;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Backup jobs: what they name exists, what they say can be done.</summary>
internal static class BackupChecks
{
    public static void All(Names names, ClusterSpec spec, Findings findings)
    {
        foreach (var backup in spec.Backups.Values)
        {
            var at = $"backups.{backup.Name}";
            Source(names, backup, spec, at, findings);
            Schedules(backup, at, findings);
            Place(backup.Repository, spec, at, findings);
            if (backup.Second is { } second)
            {
                Place(second, spec, at + ".independent", findings);
                if (second.Location == backup.Repository.Location)
                    findings.Error(at + ".independent.repository", "this is the same repository: an independent backup in it would share the first one's data", "Name another repository");
            }
            foreach (var node in backup.Nodes.Where(node => !names.Nodes.Contains(node.Value)).Distinct())
                findings.Error(at + ".nodes", $"there is no node '{node}'", Spelling.Advice(node.Value, [.. names.Nodes]));
            if (backup.Keep is { IsEmpty: true })
                findings.Error(at + ".keep", "nothing would be kept", "Write at least one of last, hourly, daily, weekly, monthly, yearly, within; or remove 'keep' to keep everything");
        }
    }

    private static void Source(Names names, BackupSpec backup, ClusterSpec spec, string at, Findings findings)
    {
        if (backup.Service is { } service && !names.Services.Contains(service))
            findings.Error(at + ".source", $"there is no service '{service}'", Spelling.Advice(service, [.. names.Services]));
        var source = backup.Service is null ? null : spec.Services.GetValueOrDefault(backup.Service);
        if (source is { Driver: PostgreSqlDriverSpec })
        {
            if (backup.Paths.Count > 0 || backup.State || backup.Each)
                findings.Error(at, $"'{source.Name}' is PostgreSQL: its backups are base backups and its log, with no 'paths', 'state' or 'each'", "Make a job of its own for other files");
            if (backup.FileSystemSnapshot is not null)
                findings.Error(at + ".filesystem_snapshot", "PostgreSQL's base backups are consistent without one", "Remove 'filesystem_snapshot'");
        }
        else if (backup.Paths.Count == 0 && (!backup.State || source is not null))
            findings.Error(at, source is null ? "it says nothing to back up" : $"it does not say where '{source.Name}' keeps its data", source is null ? "Write 'source', 'paths' or 'state: true'" : "Write 'paths'");
        if (source is not null && backup.Each)
            findings.Error(at + ".each", "a service's data is backed up once, by one of the nodes that have it", "Remove 'each'");
        foreach (var path in backup.Paths.Where(path => !path.StartsWith('/')))
            findings.Error(at + ".paths", $"'{path}' is no absolute path", "Begin it with '/'");
        if (backup is { FileSystemSnapshot: not null, Paths.Count: not 1 } or { FileSystemSnapshot: not null, State: true })
            findings.Error(at + ".filesystem_snapshot", "a snapshot is of one file system: it goes with one path", "Write one path, or one job for each");
        try
        {
            _ = new PathPatterns(backup.Exclude);
            _ = new PathPatterns(backup.FixedBlocks);
        }
        catch (FormatException exception)
        {
            findings.Error(at + ".exclude", exception.Message, "Correct the pattern");
        }
    }

    private static void Schedules(BackupSpec backup, string at, Findings findings)
    {
        if (!backup.Schedules.Keys.Any(task => task <= BackupTask.Independent))
            findings.Error(at, "it never backs anything up", "Write at least one of full, differential, incremental, independent");
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(backup.TimeZone, out var zone))
            findings.Error(at + ".time_zone", $"there is no time zone '{backup.TimeZone}'", "Write one as in /usr/share/zoneinfo, such as Europe/Berlin");
        foreach (var (task, text) in backup.Schedules)
        {
            var path = $"{at}.{task.ToString().ToLowerInvariant()}{(task == BackupTask.Independent ? ".schedule" : "")}";
            try
            {
                if (Schedule.Parse(text).Next(DateTimeOffset.UnixEpoch.AddYears(50), zone ?? TimeZoneInfo.Utc) is null)
                    findings.Error(path, $"'{text}' never comes", "Write another schedule");
            }
            catch (FormatException exception)
            {
                findings.Error(path, exception.Message, "Look at what it means: evenkeel backup schedule WORDS");
            }
        }
    }

    private static void Place(BackupPlace place, ClusterSpec spec, string at, Findings findings)
    {
        try
        {
            // Opened, not connected to.
            var _ = BackendLocation.Open(place.Location, new BackendCredentials("user", "password"), TimeProvider.System).DisposeAsync();
        }
        catch (FormatException exception)
        {
            findings.Error(at + ".repository", exception.Message, "See 'Places' in docs/backup.md");
            return;
        }
        if (Uri.TryCreate(place.Location[(place.Location.IndexOf(':', StringComparison.Ordinal) + 1)..], UriKind.Absolute, out var url) && url.UserInfo.Length > 0 && place.Location.StartsWith("rest:", StringComparison.Ordinal))
            findings.Error(at + ".repository", "a password in the cluster's file ends up in logs and in the store", "Put USER:PASSWORD into a file and name it in 'credentials_file'");
        if (!place.Location.Split('/')[0].Contains(':', StringComparison.Ordinal) && spec.Nodes.Count > 1)
            findings.Warning(at + ".repository", "a directory is one on each node unless it is mounted from elsewhere: a node's loss would take its backups with it", "Name a server: rest:, sftp: or s3:");
    }
}

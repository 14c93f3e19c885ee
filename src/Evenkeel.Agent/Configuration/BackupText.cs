using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Backup jobs as flat keys.</summary>
internal static class BackupText
{
    public static void Add(FlatText flat, BackupSpec backup, string at)
    {
        flat.Add(at + "source", backup.Service);
        flat.Add(at + "paths", backup.Paths);
        flat.Add(at + "state", backup.State);
        flat.Add(at + "nodes", backup.Nodes.Select(node => node.Value));
        flat.Add(at + "each", backup.Each);
        Add(flat, backup.Repository, at);
        if (backup.Second is { } second)
            Add(flat, second, at + "independent.");
        foreach (var (task, schedule) in backup.Schedules)
            flat.Add(at + task.ToString().ToLowerInvariant() + (task == BackupTask.Independent ? ".schedule" : ""), schedule);
        flat.Add(at + "time_zone", backup.TimeZone);
        if (backup.Keep is { } keep)
        {
            foreach (var (name, count) in new[] { ("last", keep.Last), ("hourly", keep.Hourly), ("daily", keep.Daily), ("weekly", keep.Weekly), ("monthly", keep.Monthly), ("yearly", keep.Yearly) })
                flat.Add($"{at}keep.{name}", count.ToString(CultureInfo.InvariantCulture));
            flat.Add(at + "keep.within", keep.Within);
        }
        flat.Add(at + "exclude", backup.Exclude);
        flat.Add(at + "fixed_blocks", backup.FixedBlocks);
        flat.Add(at + "one_file_system", backup.OneFileSystem);
        flat.Add(at + "filesystem_snapshot", backup.FileSystemSnapshot);
        flat.Add(at + "before", backup.Before);
        flat.Add(at + "after", backup.After);
        flat.Add(at + "verify_percent", backup.VerifyPercent.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "longest_age", backup.LongestAge);
        flat.Add(at + "time_limit", backup.TimeLimit);
    }

    private static void Add(FlatText flat, BackupPlace place, string at)
    {
        flat.Add(at + "repository", place.Location);
        flat.Add(at + "password_file", place.PasswordFile);
        flat.Add(at + "credentials_file", place.CredentialsFile);
        flat.Add(at + "maintenance_file", place.MaintenanceFile);
        flat.Add(at + "ca_file", place.AuthorityFile);
    }
}

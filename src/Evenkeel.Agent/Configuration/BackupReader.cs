using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Reads a backup job.</summary>
internal static class BackupReader
{
    private const string StandardVerify = "weekly on wednesday at 04:00", StandardPrune = "weekly on saturday at 04:00";

    /// <summary>Stands for this program's path on whichever node; filled in where PostgreSQL is started.</summary>
    public const string Program = "{evenkeel}";

    public static BackupSpec? Read(string name, Reading job)
    {
        if (Place(job) is not { } place)
            return null;
        var keep = job.Inner("keep") is { } kept ? Keep(kept) : null;
        var schedules = new Dictionary<BackupTask, string>();
        foreach (var (task, text) in new (BackupTask, string?)[]
        {
            (BackupTask.Full, job.Text("full")), (BackupTask.Differential, job.Text("differential")), (BackupTask.Incremental, job.Text("incremental")),
            (BackupTask.Independent, job.Inner("independent")?.Text("schedule")), (BackupTask.Verify, job.Text("verify") ?? StandardVerify),
            (BackupTask.Prune, keep is null ? null : job.Text("prune") ?? StandardPrune),
        })
            if (text is not null)
                schedules[task] = text;
        var standard = new BackupSpec { Name = name, Repository = place, Schedules = schedules };
        return standard with
        {
            Service = job.Text("source"),
            Paths = job.Texts("paths"),
            State = job.Boolean("state") ?? false,
            Nodes = job.Nodes("nodes"),
            Each = job.Boolean("each") ?? false,
            Second = job.Inner("independent") is { } second ? Place(second) : null,
            TimeZone = job.Text("time_zone") ?? standard.TimeZone,
            Keep = keep,
            Exclude = job.Texts("exclude"),
            FixedBlocks = job.Texts("fixed_blocks"),
            OneFileSystem = job.Boolean("one_file_system") ?? false,
            FileSystemSnapshot = job.Text("filesystem_snapshot"),
            Before = job.Text("before"),
            After = job.Text("after"),
            VerifyPercent = job.Integer("verify_percent") ?? standard.VerifyPercent,
            LongestAge = job.Time("longest_age"),
            TimeLimit = job.Time("time_limit") ?? standard.TimeLimit,
        };
    }

    /// <summary>
    /// A base backup without the log that was written meanwhile cannot be restored: a PostgreSQL service that is backed up archives
    /// its log to the same repository, unless the file says how it is archived.
    /// </summary>
    public static ClusterSpec Archiving(ClusterSpec spec) => spec with
    {
        Services = spec.Services.ToDictionary(pair => pair.Key, pair => Archiving(pair.Value, spec), StringComparer.Ordinal),
    };

    /// <summary>For a trial on one machine, whose log belongs in no archive.</summary>
    public static DriverSpec WithoutArchiving(DriverSpec driver) =>
        driver is PostgreSqlDriverSpec postgresql && postgresql.Parameters.TryGetValue("archive_command", out var command) && command.Contains(Program, StringComparison.Ordinal)
            ? postgresql with { Parameters = postgresql.Parameters.Where(pair => pair.Key is not ("archive_command" or "archive_mode")).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal) }
            : driver;

    /// <summary>Under which name a service's base backups and log belong together.</summary>
    public static string ServerName(string cluster, string service) => $"{cluster}.{service}";

    private static ServiceSpec Archiving(ServiceSpec service, ClusterSpec spec)
    {
        var jobs = spec.Backups.Values.Where(backup => backup.Service == service.Name).OrderBy(backup => backup.Name, StringComparer.Ordinal).DistinctBy(backup => backup.Repository.Location).ToList();
        if (jobs.Count == 0 || service.Driver is not PostgreSqlDriverSpec postgresql || postgresql.Parameters.Keys.Any(key => key is "archive_command" or "archive_library"))
            return service;
        var parameters = new Dictionary<string, string>(postgresql.Parameters, StringComparer.Ordinal)
        {
            ["archive_command"] = string.Join(" && ", jobs.Select(backup => Push(backup.Repository, ServerName(spec.Cluster, service.Name)))),
        };
        parameters.TryAdd("archive_mode", "on");
        parameters.TryAdd("archive_timeout", "60");
        return service with { Driver = postgresql with { Parameters = parameters } };
    }

    private static string Push(BackupPlace place, string server) =>
        $"{Program} backup wal-push \"%p\" --server {Quoted(server)} --repository {Quoted(place.Location)} --password-file {Quoted(place.PasswordFile)}"
        + (place.CredentialsFile is { } credentials ? $" --credentials-file {Quoted(credentials)}" : "") + (place.AuthorityFile is { } authority ? $" --ca-file {Quoted(authority)}" : "");

    // PostgreSQL replaces %p and %f, and gives the rest to a shell.
    private static string Quoted(string text) => "'" + text.Replace("%", "%%", StringComparison.Ordinal).Replace("'", "'\\''", StringComparison.Ordinal) + "'";

    private static BackupPlace? Place(Reading at) => at.Text("repository") is { } location && at.Text("password_file") is { } password
        ? new BackupPlace(location, password, at.Text("credentials_file"), at.Text("maintenance_file"), at.Text("ca_file")) : null;

    private static BackupKeepSpec Keep(Reading keep) => new()
    {
        Last = keep.Integer("last") ?? 0,
        Hourly = keep.Integer("hourly") ?? 0,
        Daily = keep.Integer("daily") ?? 0,
        Weekly = keep.Integer("weekly") ?? 0,
        Monthly = keep.Integer("monthly") ?? 0,
        Yearly = keep.Integer("yearly") ?? 0,
        Within = keep.Time("within"),
    };
}

namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>The keys of a backup job.</summary>
internal static class BackupKeys
{
    private static readonly IntegerShape s_count = new(0, 100_000);
    private static readonly TextShape s_schedule = new("a schedule such as 'daily at 02:30', 'weekly on sunday', 'every 15 minutes' or '30 2 * * *'");
    private static readonly TextShape s_place = new("a repository such as rest:https://HOST:8000/NAME, s3:https://HOST/BUCKET/NAME, sftp:USER@HOST:/PATH or a directory");

    private static readonly KeysShape s_keep = new("backups.NAME.keep",
    [
        new("last", s_count, "The newest so many.", Default: "0"),
        new("hourly", s_count, "The newest of each of so many hours.", Default: "0"),
        new("daily", s_count, "The newest of each of so many days.", Default: "0"),
        new("weekly", s_count, "The newest of each of so many weeks.", Default: "0"),
        new("monthly", s_count, "The newest of each of so many months.", Default: "0"),
        new("yearly", s_count, "The newest of each of so many years.", Default: "0"),
        new("within", Shapes.Time("1h", "520w"), "Everything that is at most this much older than the newest.", Default: "nothing by age alone"),
    ]);

    private static readonly IReadOnlyList<Key> s_access =
    [
        new("password_file", Shapes.Text, "A file on each node whose first line is the repository's password.", Required: true),
        new("credentials_file", Shapes.Text, "A file on each node with `USER:PASSWORD` for the repository's server, or `KEY:SECRET` for S3.", Default: "none"),
        new("maintenance_file", Shapes.Text, "As `credentials_file`, of those who may also remove: for an append-only server, where retention needs them.", Default: "the same credentials"),
        new("ca_file", Shapes.Text, "PEM file on each node with the only authorities to trust for the repository's server.", Default: "the system's"),
    ];

    private static readonly KeysShape s_independent = new("backups.NAME.independent",
    [
        new("schedule", s_schedule, "When.", Required: true),
        new("repository", s_place, "Another repository: an independent full backup shares nothing with the first one.", Required: true),
        .. s_access,
    ]);

    public static readonly KeysShape Backup = new("backups.NAME",
    [
        new("source", Shapes.Name, "The service whose data it is. A PostgreSQL service needs nothing more: base backups, from a standby first, and its log is archived (`archive_command`) unless its parameters say otherwise. Others name `paths` too; the node that has the service does it, a standby's first.", Default: "files of nodes"),
        new("paths", new ListShape(Shapes.Text, Least: 1), "Absolute paths of files and directories; `{node}` is filled in.", Default: "none"),
        new("state", Shapes.Boolean, "Evenkeel's own state too: a snapshot of the coordination store, `/etc/evenkeel`, the node's identity.", Default: "false"),
        new("nodes", Shapes.Names, "Who may do it, the best first.", Default: "every node that is no witness"),
        new("each", Shapes.Boolean, "Each of the nodes backs up its own files. Without it one of them does it for all.", Default: "false"),
        new("repository", s_place, "Where to; made before by `evenkeel backup init`. Every node that may do it must reach it.", Required: true),
        .. s_access,
        new("full", s_schedule, "When everything is read again: calendar words or cron.", Default: "never by itself; without a snapshot to build on, each type is a full one"),
        new("differential", s_schedule, "When what changed since the last full one is read.", Default: "never"),
        new("incremental", s_schedule, "When what changed since the last one of any type is read.", Default: "never"),
        new("independent", s_independent, "Full backups to a second repository.", Default: "none"),
        new("verify", s_schedule, "When a share of the repository is read and checked.", Default: "weekly on wednesday at 04:00"),
        new("verify_percent", new IntegerShape(0, 100), "How much of it is read each time.", Default: "5"),
        new("keep", s_keep, "What is kept; the rest is forgotten after each backup.", Default: "everything"),
        new("prune", s_schedule, "When the data that no snapshot needs any more is removed. Backups wait meanwhile.", Default: "weekly on saturday at 04:00, with `keep`"),
        new("time_zone", new TextShape("a time zone such as Europe/Berlin or UTC"), "The zone of the schedules' times.", Default: "UTC"),
        new("exclude", new ListShape(Shapes.Text), "Patterns to leave out, as restic has them.", Default: "none"),
        new("fixed_blocks", new ListShape(Shapes.Text), "Patterns of files whose pages change in place (disk images): cut into 64 KiB.", Default: "none"),
        new("one_file_system", Shapes.Boolean, "Leaves directories on other file systems empty.", Default: "false"),
        new("filesystem_snapshot", new ChoiceShape("btrfs", "lvm"), "Reads the files from a snapshot of their file system, which is removed afterwards.", Default: "as they are"),
        new("before", Shapes.Text, "A shell command that freezes the application; when it fails nothing is backed up. With a file system snapshot it lasts for the moment of the snapshot alone.", Default: "none"),
        new("after", Shapes.Text, "A shell command that thaws it, in every case.", Default: "none"),
        new("longest_age", Shapes.Time("1m", "52w"), "An older last good backup is an alert.", Default: "an hour after a missed moment"),
        new("time_limit", Shapes.Time("1m", "30d"), "A run that takes longer is ended, and tried again.", Default: "24h"),
    ]);
}

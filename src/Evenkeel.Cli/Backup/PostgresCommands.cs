using System.CommandLine;
using System.Globalization;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup postgres …</c>: base backups and point-in-time restores; <c>backup wal-push</c> archives the log.</summary>
internal static class PostgresCommands
{
    public static Command Create() => new DescribedCommand("postgres", "Base backups of PostgreSQL and restores to any point in time.", """
        Set once on the server (then restart it):
            archive_mode = on
            archive_command = 'evenkeel backup wal-push %p --server NAME --repository PLACE --password-file FILE'
            archive_timeout = 60        # at most a minute is lost with the machine
        Run both commands as a user that may read the data directory, usually postgres.
        """)
    { CreateBase(), CreateRestore() };

    public static Command CreatePush()
    {
        var repository = new RepositoryOptions();
        var path = new Argument<string>("FILE") { Description = "What PostgreSQL puts in place of %p." };
        var server = Server();
        var command = new Command("wal-push", "Archives a file of PostgreSQL's log; for archive_command.") { path, server };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            // Without the index: a segment is new, and reading a large index for each would slow the archive down.
            await new WalArchive(opened).PushAsync(parsed.GetRequiredValue(server), parsed.GetRequiredValue(path), cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }

    private static Option<string> Server() => new("--server") { Description = "The name under which base backups and log belong together.", DefaultValueFactory = _ => "main" };

    private static Command CreateBase()
    {
        var repository = new RepositoryOptions();
        var server = Server();
        var connection = new Option<string?>("--connection") { Description = "For psql, such as 'host=/run/postgresql port=5433 dbname=postgres'." };
        var type = new Option<BackupType>("--type", "-t")
        {
            Description = "full reads everything; incremental what changed since the last base backup of any type; differential since the last full one.",
            DefaultValueFactory = _ => BackupType.Incremental,
        };
        type.AcceptOnlyFromAmong("full", "differential", "incremental");
        var command = new DescribedCommand("base", "Makes a base backup of a running server, primary or standby.", """
            Every base backup is complete. From version 17 on, with
                summarize_wal = on
            the server knows which blocks changed, and an incremental one reads no others. Where that is not possible everything is
            read, and it says why.
            """)
        { server, connection, type };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            await opened.LoadIndexAsync(cancellation).ConfigureAwait(false);
            var progress = new BackupProgress();
            var (result, whyFull) = await ProgressLine.ShowAsync("base backup", progress, null, () => new BaseBackup(opened).RunAsync(
                parsed.GetRequiredValue(server), parsed.GetValue(connection), parsed.GetValue(type), progress, cancellation)).ConfigureAwait(false);
            foreach (var incident in result.Incidents.Where(i => i.Lost))
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"evenkeel: {incident.Path}: {incident.Reason}").ConfigureAwait(false);
            }
            await parsed.InvocationConfiguration.Output.WriteLineAsync(
                $"Base backup {result.Snapshot.Id.Brief} of '{parsed.GetValue(server)}', {Outcome(result, whyFull)}").ConfigureAwait(false);
            return result.Incidents.Any(i => i.Lost)
                ? throw new CommandFailedException(ExitCode.Failed, "files could not be read; this base backup cannot be relied on", "Run it as the user who owns the data directory.") : ExitCode.Success;
        }));
        return command;
    }

    /// <summary>What kind of base backup it became, and what that cost.</summary>
    private static string Outcome(BackupResult result, string? whyFull) =>
        $"{BackupTags.Of(result.ActualType)}{(result.Snapshot.Parent is { } on ? $" on {on[..8]}" : "")}: {Sizes.Of(result.Summary.TotalBytes)}, {Sizes.Of(result.Summary.BytesRead ?? 0)} read, {Sizes.Of(result.Summary.DataAddedPacked)} stored"
        + (whyFull is null ? "" : $"\nEverything was read: {whyFull}");

    private static Command CreateRestore()
    {
        var repository = new RepositoryOptions();
        var server = Server();
        var target = new Option<string>("--target") { Description = "The data directory to make; it must not exist.", Required = true };
        var time = new Option<string?>("--to-time") { Description = "Recovers until this time, such as '2026-03-01 12:00:00+01:00'." };
        var lsn = new Option<string?>("--to-lsn") { Description = "Recovers until this place in the log, such as 0/3000148." };
        var name = new Option<string?>("--to-name") { Description = "Recovers until the point of this name (pg_create_restore_point)." };
        var snapshot = new Option<string?>("--snapshot") { Description = "The base backup to begin with; default: the newest before the target." };
        var mapping = new Option<string[]>("--tablespace-mapping") { Description = "Where the tablespace that lay at OLD shall lie; may be given for each.", HelpName = "OLD=NEW", DefaultValueFactory = _ => [] };
        var command = new DescribedCommand("restore", "Makes a data directory that recovers to a point in time when a server is started on it.", """
            Without a target everything that was archived is recovered. The log lies ready in TARGET.wal; remove it once the server runs.
            Tablespaces go to TARGET.tablespaces/OID, unless --tablespace-mapping says where else.
            The restored server does not archive until a line is removed from its postgresql.auto.conf.
            """)
        { server, target, time, lsn, name, snapshot, mapping };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var aim = Target(parsed.GetValue(time), parsed.GetValue(lsn), parsed.GetValue(name));
            var places = Mapping(parsed.GetRequiredValue(mapping));
            await opened.LoadIndexAsync(cancellation).ConfigureAwait(false);
            var from = parsed.GetValue(snapshot) is { } id ? await SnapshotArgument.FindAsync(opened, id, cancellation).ConfigureAwait(false) : null;
            var progress = new BackupProgress();
            var prepared = await ProgressLine.ShowAsync("restore", progress, from?.Summary?.TotalBytes, () => new PointInTimeRestore(opened).PrepareAsync(
                parsed.GetRequiredValue(server), aim, from, Path.GetFullPath(parsed.GetRequiredValue(target)), places, progress, cancellation)).ConfigureAwait(false);
            var console = parsed.InvocationConfiguration;
            foreach (var problem in prepared.Problems)
            {
                await console.Error.WriteLineAsync($"evenkeel: {problem.Path}: {problem.Reason}").ConfigureAwait(false);
            }
            if (prepared.Problems.Count > 0)
            {
                throw new CommandFailedException(ExitCode.Failed, $"{prepared.Problems.Count} path(s) are missing; do not start a server on this directory");
            }
            await console.Output.WriteLineAsync($"""
                {prepared.DataDirectory} is ready: base backup {prepared.Base.Id.Brief} of {prepared.Base.When:yyyy-MM-dd HH:mm} and {prepared.WalFiles} file(s) of log{string.Concat(prepared.Tablespaces.Select(one => $"\nThe tablespace of {one.Key} lies at {one.Value}"))}
                Start a server on it; it recovers and then takes connections. It does not archive until 'archive_mode' is removed from its postgresql.auto.conf.
                """).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }

    private static Dictionary<string, string> Mapping(IReadOnlyList<string> options)
    {
        var places = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var option in options)
        {
            if (option.Split('=') is not [['/', ..] old, ['/', ..] now])
            {
                throw new CommandFailedException(ExitCode.Usage, $"'{option}' is no mapping; such as /srv/fast=/mnt/fast, both absolute");
            }
            if (!places.TryAdd(old, Path.TrimEndingDirectorySeparator(Path.GetFullPath(now))))
            {
                throw new CommandFailedException(ExitCode.Usage, $"--tablespace-mapping names {old} twice");
            }
        }
        return places.Values.Distinct(StringComparer.Ordinal).Count() == places.Count ? places
            : throw new CommandFailedException(ExitCode.Usage, "--tablespace-mapping gives two tablespaces one place");
    }

    private static RecoveryTarget Target(string? time, string? lsn, string? name)
    {
        if (new[] { time, lsn, name }.Count(t => t is not null) > 1)
        {
            throw new CommandFailedException(ExitCode.Usage, "give one of --to-time, --to-lsn and --to-name");
        }
        if (time is not null)
        {
            return DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out var at) ? new RecoveryTarget(at)
                : throw new CommandFailedException(ExitCode.Usage, $"'{time}' is no time; such as '2026-03-01 12:00:00+01:00'");
        }
        try
        {
            _ = lsn is null ? 0 : LogPosition.Parse(lsn);
            return new RecoveryTarget(null, lsn, name);
        }
        catch (FormatException e)
        {
            throw new CommandFailedException(ExitCode.Usage, e.Message);
        }
    }
}

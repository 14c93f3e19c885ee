using System.CommandLine;
using System.Globalization;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Snapshots;
using Evenkeel.Core.Backups;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Backup;

/// <summary>
/// Backups by schedules without a cluster: stays, and backs up at each moment, as a cluster's jobs do and by the same rules. What
/// was missed while nobody was there is made up for at the start: the repository says when the last backups were.
/// </summary>
internal sealed class ScheduledRuns(IReadOnlyDictionary<BackupTask, string> schedules, TextWriter log)
{
    // A clock may be set while we wait.
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);
    private readonly BackupJob _job = new("run", new BackupSpec { Name = "run", Repository = new BackupPlace("", ""), Schedules = schedules, TimeZone = TimeZoneInfo.Local.Id }, []);

    /// <summary>Reads <c>[TYPE=]WORDS</c> of the command line; a usage error for what makes no sense.</summary>
    public static IReadOnlyDictionary<BackupTask, string> Read(IEnumerable<string> texts, BackupType standard)
    {
        var schedules = new Dictionary<BackupTask, string>();
        foreach (var text in texts)
        {
            var parts = text.Split('=', 2);
            var type = parts.Length == 1 ? standard : Enum.TryParse<BackupType>(parts[0].Trim(), ignoreCase: true, out var named) && !parts[0].Any(char.IsAsciiDigit) ? named
                : throw new CommandFailedException(ExitCode.Usage, $"'{parts[0]}' is no type of backup", "Such as --schedule 'full=weekly on sunday' --schedule incremental=hourly");
            try
            {
                schedules[TaskOf(type)] = Schedule.Parse(parts[^1].Trim()).Text;
            }
            catch (FormatException e)
            {
                throw new CommandFailedException(ExitCode.Usage, e.Message);
            }
        }
        return schedules;
    }

    /// <summary>Until cancelled.</summary>
    /// <param name="snapshots">Of the source, as the repository has them at the start.</param>
    /// <param name="run">One backup; its exit code.</param>
    public async Task<int> RunAsync(IReadOnlyList<Snapshot> snapshots, Func<BackupType, Task<int>> run, CancellationToken cancellation)
    {
        var record = RecordOf(snapshots, DateTimeOffset.UtcNow);
        while (!cancellation.IsCancellationRequested)
        {
            var now = DateTimeOffset.UtcNow;
            record = BackupBook.Rewind(record, now.ToUnixTimeSeconds()) ?? record;
            var due = now.ToUnixTimeSeconds() < record.NotBefore ? null : BackupCalendar.Due(_job, record, now).OrderBy(one => one.Task).FirstOrDefault();
            if (due is null)
            {
                var next = BackupCalendar.Next(_job.Spec, now)?.Moment - now ?? LongestWait;
                await Task.Delay(next < LongestWait ? next + TimeSpan.FromMilliseconds(100) : LongestWait, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }
            var words = await TryAsync(() => run(TypeOf(due.Task))).ConfigureAwait(false);
            if (cancellation.IsCancellationRequested)
            {
                break;
            }
            var given = BackupBook.Give(record, new NodeName("here"), 0, due.Task, due.Moment, now.ToUnixTimeSeconds());
            record = BackupBook.End(given, given.Running!, new Core.Model.BackupResult(due.Task, given.Running!.Node, DateTimeOffset.UtcNow.ToUnixTimeSeconds(), words is null, words ?? ""));
            if (words is not null)
            {
                await log.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"evenkeel: {words}; tried again at {DateTimeOffset.FromUnixTimeSeconds(record.NotBefore).LocalDateTime:HH:mm}")).ConfigureAwait(false);
            }
        }
        return ExitCode.Success;
    }

    private static async Task<string?> TryAsync(Func<Task<int>> run)
    {
        try
        {
            return await run().ConfigureAwait(false) == ExitCode.Success ? null : "the backup failed";
        }
        catch (CommandFailedException e)
        {
            return e.Message;
        }
        catch (OperationCanceledException)
        {
            return "it was interrupted";
        }
    }

    private static BackupRecord RecordOf(IReadOnlyList<Snapshot> snapshots, DateTimeOffset now)
    {
        // Nothing there: the schedules count from now on.
        var record = new BackupRecord("run", 0) { Since = snapshots.Count == 0 ? now.ToUnixTimeSeconds() : 0 };
        foreach (var snapshot in snapshots)
        {
            var run = new BackupRun(new NodeName("here"), 0, 0, TaskOf(BackupTags.TypeOf(snapshot)), snapshot.When.ToUnixTimeSeconds(), 0);
            record = BackupBook.End(record, run, new Core.Model.BackupResult(run.Task, run.Node, run.Moment, true, ""));
        }
        return record;
    }

    private static BackupTask TaskOf(BackupType type) => type switch
    {
        BackupType.Full => BackupTask.Full,
        BackupType.Differential => BackupTask.Differential,
        BackupType.Independent => BackupTask.Independent,
        _ => BackupTask.Incremental,
    };

    private static BackupType TypeOf(BackupTask task) => task switch
    {
        BackupTask.Full => BackupType.Full,
        BackupTask.Differential => BackupType.Differential,
        BackupTask.Independent => BackupType.Independent,
        _ => BackupType.Incremental,
    };
}

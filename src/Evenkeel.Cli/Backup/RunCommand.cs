using System.CommandLine;
using System.Diagnostics;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup run</c>.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var second = new RepositoryOptions("second-");
        var paths = new Argument<string[]>("PATH") { Description = "Files and directories to back up.", Arity = ArgumentArity.OneOrMore };
        var type = new Option<BackupType>("--type", "-t") { Description = "full reads everything; differential what changed since the last full; incremental since the last of any type; independent reads everything into the second repository, which shares nothing with the first.", DefaultValueFactory = _ => BackupType.Incremental };
        var exclude = new Option<string[]>("--exclude", "-e") { Description = "A pattern to leave out, as restic has them; repeatable." };
        var excludeFile = new Option<string[]>("--exclude-file") { Description = "A file with a pattern a line; '#' begins a comment." };
        var fixedBlocks = new Option<string[]>("--fixed-blocks") { Description = "Files (patterns) whose pages change in place, as databases and disk images: cut into 64 KiB." };
        var oneFileSystem = new Option<bool>("--one-file-system", "-x") { Description = "Leaves directories on other file systems empty." };
        var tag = new Option<string[]>("--tag") { Description = "A further tag; repeatable." };
        var host = new Option<string>("--host") { Description = "The machine's name in the snapshot.", DefaultValueFactory = _ => Environment.MachineName };
        var before = new Option<string?>("--before") { Description = "A shell command to run first (freeze an application); when it fails nothing is backed up." };
        var after = new Option<string?>("--after") { Description = "A shell command to run afterwards in every case; EVENKEEL_BACKUP_RESULT is ok or failed." };
        var frozen = new Option<string?>("--filesystem-snapshot") { Description = "btrfs or lvm: reads the one PATH from a snapshot of its file system; --before and --after are then around the snapshot alone." };
        frozen.AcceptOnlyFromAmong("btrfs", "lvm");
        var schedule = new Option<string[]>("--schedule") { Description = "Stays, and backs up at each moment of it, such as 'daily at 02:30'; repeatable with a type: 'full=weekly on sunday'. See 'backup schedule'." };
        var output = Options.Output();
        var command = new Command("run", "Backs paths up as a new snapshot.")
            { paths, type, exclude, excludeFile, fixedBlocks, oneFileSystem, tag, host, before, after, frozen, schedule, output };
        repository.AddTo(command);
        second.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var request = new BackupRequest
            {
                Paths = parsed.GetRequiredValue(paths),
                Type = parsed.GetValue(type),
                Excludes = Patterns([.. parsed.GetValue(exclude) ?? [], .. (parsed.GetValue(excludeFile) ?? []).SelectMany(Lines)]),
                FixedBlocks = Patterns(parsed.GetValue(fixedBlocks) ?? []),
                OneFileSystem = parsed.GetValue(oneFileSystem),
                Tags = parsed.GetValue(tag) ?? [],
                Host = parsed.GetRequiredValue(host),
            };
            var hooks = new Hooks(parsed.GetValue(before), parsed.GetValue(after));
            Task<int> OnceAsync(BackupType wanted)
            {
                var one = request with { Type = wanted };
                Task<int> RunAsync(ResticRepository opened) => hooks.AroundAsync(() => BackUpAsync(opened, one, parsed, output, cancellation), cancellation);
                return parsed.GetValue(frozen) is { } kind ? FrozenAsync(kind, one, hooks, parsed, cancellation)
                    : wanted != BackupType.Independent ? repository.UseAsync(parsed, cancellation, RunAsync)
                    : repository.UseAsync(parsed, cancellation, first => second.UseAsync(parsed, cancellation, other => first.Config.Id != other.Config.Id ? RunAsync(other)
                        : throw new CommandFailedException(ExitCode.Refused, "the second repository is the first one: nothing in it would be independent", "Name another one with --second-repository")), exclusive: null);
            }
            return parsed.GetValue(schedule) is { Length: > 0 } texts
                ? StayAsync(ScheduledRuns.Read(texts, request.Type), repository, request, OnceAsync, parsed, cancellation) : OnceAsync(request.Type);
        });
        return command;
    }

    private static async Task<int> StayAsync(IReadOnlyDictionary<Core.Model.BackupTask, string> schedules, RepositoryOptions repository, BackupRequest request,
        Func<BackupType, Task<int>> once, ParseResult parsed, CancellationToken cancellation)
    {
        List<Snapshot> known = [];
        await repository.UseAsync(parsed, cancellation, async opened =>
        {
            var paths = request.Paths.Select(Path.GetFullPath).Order(StringComparer.Ordinal).ToList();
            known = (await opened.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false))
                .FindAll(s => s.Hostname == request.Host && s.Paths.Order(StringComparer.Ordinal).SequenceEqual(paths));
            return ExitCode.Success;
        }, exclusive: null).ConfigureAwait(false);
        return await new ScheduledRuns(schedules, parsed.InvocationConfiguration.Error).RunAsync(known, once, cancellation).ConfigureAwait(false);
    }

    /// <summary>The same command without what the snapshot has done already, where the path shows the snapshot.</summary>
    private static async Task<int> FrozenAsync(string kind, BackupRequest request, Hooks hooks, ParseResult parsed, CancellationToken cancellation)
    {
        if (request.Paths.Count != 1)
        {
            throw new CommandFailedException(ExitCode.Usage, "a snapshot is of one file system: it goes with one PATH", "Run it once for each");
        }
        string[] gone = ["--filesystem-snapshot", "--before", "--after", "--schedule", "--type", "-t"];
        var words = parsed.Tokens.Select(t => t.Value).ToList();
        foreach (var option in gone)
        {
            for (var at = words.IndexOf(option); at >= 0; at = words.IndexOf(option))
            {
                words.RemoveRange(at, Math.Min(2, words.Count - at));
            }
        }
        words.AddRange(["--type", BackupTags.Of(request.Type)]);
        await parsed.InvocationConfiguration.Output.WriteAsync(await FrozenFileSystem.RunAsync(kind, request.Paths[0], hooks, words, null, cancellation).ConfigureAwait(false)).ConfigureAwait(false);
        return ExitCode.Success;
    }

    private static async Task<int> BackUpAsync(
        ResticRepository repository, BackupRequest request, ParseResult parsed, Option<OutputFormat> output, CancellationToken cancellation)
    {
        var problems = await repository.LoadIndexAsync(cancellation).ConfigureAwait(false);
        foreach (var problem in problems)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"evenkeel: {problem.Message}; what it listed is backed up again").ConfigureAwait(false);
        }
        var progress = new BackupProgress();
        var clock = Stopwatch.StartNew();
        var result = await ProgressLine.ShowAsync("backup", progress, await ExpectedBytesAsync(repository, request, cancellation).ConfigureAwait(false),
            () => new BackupEngine(repository).RunAsync(request, progress, cancellation)).ConfigureAwait(false);
        var console = parsed.InvocationConfiguration.Output;
        if (parsed.GetValue(output) == OutputFormat.Json)
        {
            await console.WriteLineAsync(BackupJson.Text(new RunView(SnapshotView.Of(result.Snapshot), BackupTags.Of(result.RequestedType), result.Incidents))).ConfigureAwait(false);
        }
        else
        {
            foreach (var incident in result.Incidents)
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"evenkeel: {incident.Path}: {incident.Reason}").ConfigureAwait(false);
            }
            var s = result.Summary;
            var type = BackupTags.Of(result.ActualType) + (result.ActualType == result.RequestedType ? "" : $" (there is none to make a {BackupTags.Of(result.RequestedType)} one of)");
            await console.WriteLineAsync($"""
                Snapshot {result.Snapshot.Id.Brief}, {type}, {clock.Elapsed:h\:mm\:ss}
                Files: {s.FilesNew} new, {s.FilesChanged} changed, {s.FilesUnmodified} unmodified; {s.TotalFiles} in all, {Sizes.Of(s.TotalBytes)}
                Added: {Sizes.Of(s.DataAdded)}, stored as {Sizes.Of(s.DataAddedPacked)}
                """).ConfigureAwait(false);
        }
        await WarnAsync(repository, result, parsed, cancellation).ConfigureAwait(false);
        var lost = result.Incidents.Count(i => i.Lost);
        return lost == 0 ? ExitCode.Success
            : throw new CommandFailedException(ExitCode.Failed, $"{lost} file(s) could not be read; snapshot {result.Snapshot.Id.Brief} has all the others");
    }

    /// <summary>About as much as last time: what a bar and the time left go by. Null where nobody looks, or nothing is known.</summary>
    private static async Task<long?> ExpectedBytesAsync(ResticRepository repository, BackupRequest request, CancellationToken cancellation)
    {
        if (Console.IsErrorRedirected)
        {
            return null;
        }
        var paths = request.Paths.Select(Path.GetFullPath).ToList();
        var last = BackupTags.ParentFor(BackupType.Incremental, await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false), request.Host, paths, DateTimeOffset.UtcNow);
        return last?.Summary is { TotalBytes: > 0 } summary ? summary.TotalBytes : null;
    }

    private static async Task WarnAsync(ResticRepository repository, BackupResult result, ParseResult parsed, CancellationToken cancellation)
    {
        var all = await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false);
        var series = SnapshotSeries.Split(all).First(s => s.Any(one => one.Id == result.Snapshot.Id));
        if (AnomalyAlarm.Find(series).FirstOrDefault(a => a.Snapshot.Id == result.Snapshot.Id) is { } anomaly)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"""
                evenkeel: ALARM: {string.Join("; ", anomaly.Reasons)}
                evenkeel: Was it ransomware? Nothing older is removed until 'evenkeel backup accept {result.Snapshot.Id.Brief}'.
                """).ConfigureAwait(false);
        }
    }

    private static PathPatterns Patterns(IReadOnlyList<string> patterns)
    {
        try
        {
            return new PathPatterns(patterns);
        }
        catch (FormatException e)
        {
            throw new CommandFailedException(ExitCode.Usage, e.Message);
        }
    }

    private static IEnumerable<string> Lines(string file)
    {
        try
        {
            return [.. File.ReadLines(file).Select(l => l.Trim()).Where(l => l.Length > 0 && l[0] != '#')];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Usage, $"the exclude file cannot be read: {e.Message}");
        }
    }
}

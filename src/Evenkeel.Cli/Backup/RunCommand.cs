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
        var paths = new Argument<string[]>("PATH") { Description = "Files and directories to back up.", Arity = ArgumentArity.OneOrMore };
        var type = new Option<BackupType>("--type", "-t") { Description = "full reads everything; differential what changed since the last full; incremental since the last of any type.", DefaultValueFactory = _ => BackupType.Incremental };
        var exclude = new Option<string[]>("--exclude", "-e") { Description = "A pattern to leave out, as restic has them; repeatable." };
        var excludeFile = new Option<string[]>("--exclude-file") { Description = "A file with a pattern a line; '#' begins a comment." };
        var fixedBlocks = new Option<string[]>("--fixed-blocks") { Description = "Files (patterns) whose pages change in place, as databases and disk images: cut into 64 KiB." };
        var oneFileSystem = new Option<bool>("--one-file-system", "-x") { Description = "Leaves directories on other file systems empty." };
        var tag = new Option<string[]>("--tag") { Description = "A further tag; repeatable." };
        var host = new Option<string>("--host") { Description = "The machine's name in the snapshot.", DefaultValueFactory = _ => Environment.MachineName };
        var before = new Option<string?>("--before") { Description = "A shell command to run first (freeze an application); when it fails nothing is backed up." };
        var after = new Option<string?>("--after") { Description = "A shell command to run afterwards in every case; EVENKEEL_BACKUP_RESULT is ok or failed." };
        var output = Options.Output();
        var command = new Command("run", "Backs paths up as a new snapshot.")
            { paths, type, exclude, excludeFile, fixedBlocks, oneFileSystem, tag, host, before, after, output };
        repository.AddTo(command);
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
            return repository.UseAsync(parsed, cancellation, opened => hooks.AroundAsync(() => BackUpAsync(opened, request, parsed, output, cancellation)));
        });
        return command;
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
        var result = await ProgressLine.ShowAsync("backup", progress, null,
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

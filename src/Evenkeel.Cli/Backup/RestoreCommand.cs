using System.CommandLine;
using System.Diagnostics;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup restore</c>.</summary>
internal static class RestoreCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var snapshot = SnapshotArgument.Create();
        var target = new Option<string>("--target") { Description = "The directory to restore into; / restores in place; - writes the one file named by --path to standard output.", Required = true };
        var path = new Option<string?>("--path") { Description = "Only this path of the snapshot, and what is below it." };
        var dryRun = new Option<bool>("--dry-run", "-n") { Description = "Writes nothing; shows what would be created, replaced and kept." };
        var output = Options.Output();
        var command = new DescribedCommand("restore", "Restores a snapshot, or a part of it.", """
            Files that are there already with the same size and time are kept, others are replaced; nothing is deleted.
            """)
        { snapshot, target, path, dryRun, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            foreach (var problem in await opened.LoadIndexAsync(cancellation).ConfigureAwait(false))
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync("evenkeel: " + problem.Message).ConfigureAwait(false);
            }
            var found = await SnapshotArgument.FindAsync(opened, parsed.GetRequiredValue(snapshot), cancellation).ConfigureAwait(false);
            if (parsed.GetRequiredValue(target) == "-")
            {
                return await DumpAsync(opened, found, parsed.GetValue(path), cancellation).ConfigureAwait(false);
            }
            var request = new RestoreRequest { Target = parsed.GetRequiredValue(target), Path = parsed.GetValue(path), DryRun = parsed.GetValue(dryRun) };
            var progress = new BackupProgress();
            var clock = Stopwatch.StartNew();
            var result = await ProgressLine.ShowAsync("restore", progress, request.Path is null ? found.Summary?.TotalBytes : null,
                () => new RestoreEngine(opened).RunAsync(found, request, progress, cancellation)).ConfigureAwait(false);
            await ReportAsync(parsed, output, request, result, clock.Elapsed).ConfigureAwait(false);
            return result.Problems.Count == 0 ? ExitCode.Success
                : throw new CommandFailedException(ExitCode.Failed, $"{result.Problems.Count} path(s) could not be restored; all the others are");
        }));
        return command;
    }

    private static async Task ReportAsync(
        ParseResult parsed, Option<OutputFormat> output, RestoreRequest request, RestoreResult result, TimeSpan took)
    {
        var console = parsed.InvocationConfiguration;
        if (parsed.GetValue(output) == OutputFormat.Json)
        {
            await console.Output.WriteLineAsync(BackupJson.Text(result)).ConfigureAwait(false);
            return;
        }
        foreach (var step in result.Steps.Where(s => s.Action != "keep"))
        {
            await console.Output.WriteLineAsync($"{step.Action,-8} {step.Path}").ConfigureAwait(false);
        }
        foreach (var problem in result.Problems)
        {
            await console.Error.WriteLineAsync($"evenkeel: {problem.Path}: {problem.Reason}").ConfigureAwait(false);
        }
        await console.Output.WriteLineAsync(request.DryRun
            ? $"Nothing was written; {result.Steps.Count(s => s.Action == "keep")} path(s) would be kept."
            : $@"Restored {result.Files} files, {Sizes.Of(result.Bytes)}, in {took:h\:mm\:ss} to {Path.GetFullPath(request.Target)}").ConfigureAwait(false);
    }

    private static async Task<int> DumpAsync(ResticRepository repository, Snapshot snapshot, string? path, CancellationToken cancellation)
    {
        if (path is null)
        {
            throw new CommandFailedException(ExitCode.Usage, "--target - needs --path FILE");
        }
        var file = await FileContent.FindAsync(repository, snapshot, path, cancellation).ConfigureAwait(false);
        await using var standardOutput = Console.OpenStandardOutput();
        await file.CopyToAsync(standardOutput, cancellation).ConfigureAwait(false);
        return ExitCode.Success;
    }
}

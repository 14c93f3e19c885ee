using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Evidence;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup restore-test</c>: the proof that a backup is one.</summary>
internal static class RestoreTestCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var snapshot = SnapshotArgument.Create();
        var path = new Option<string?>("--path") { Description = "Only this path of the snapshot." };
        var start = new Option<string?>("--start") { Description = "A shell command that starts the restored thing, in the sandbox." };
        var query = new Option<string?>("--query") { Description = "A shell command that asks it; tried until it succeeds." };
        var timeout = Options.Timeout("Seconds until the query must have succeeded.", 120);
        var directory = new Option<string>("--directory") { Description = "Where room for the restore is.", DefaultValueFactory = _ => Path.GetTempPath() };
        var output = Options.Output();
        var command = new DescribedCommand("restore-test", "Restores into a sandbox, starts what was restored, queries it, times it and records the result.", """
            The commands run in the restored directory (also in $EVENKEEL_RESTORED), in network and process namespaces of their own:
            they reach nothing outside. Everything is removed afterwards. 'list' and 'score' show the result.
            """)
        { snapshot, path, start, query, timeout, directory, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            await opened.LoadIndexAsync(cancellation).ConfigureAwait(false);
            var found = await SnapshotArgument.FindAsync(opened, parsed.GetRequiredValue(snapshot), cancellation).ConfigureAwait(false);
            if (parsed.GetValue(start) is not null && parsed.GetValue(query) is null)
            {
                throw new CommandFailedException(ExitCode.Usage, "--start needs --query: what is not asked is not proven");
            }
            var place = Directory.CreateDirectory(Path.Combine(parsed.GetRequiredValue(directory), $"evenkeel-restore-test-{Guid.NewGuid():N}"),
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute).FullName;
            try
            {
                var sandbox = parsed.GetValue(query) is { } asked
                    ? new Func<string, Sandbox>(where => new Sandbox(where, parsed.GetValue(start), asked, TimeSpan.FromSeconds(parsed.GetValue(timeout)))) : null;
                var result = await TestAsync(opened, found, parsed.GetValue(path), place, sandbox, cancellation).ConfigureAwait(false);
                EvidenceLog.Open().Add(new EvidenceRecord(opened.Config.Id, found.Id.ToString(), "restore-test", DateTimeOffset.UtcNow,
                    result.Passed, result.RestoreSeconds + result.StartSeconds, 1, result.Problem ?? result.Answer));
                await parsed.InvocationConfiguration.Output.WriteLineAsync(parsed.GetValue(output) == OutputFormat.Json ? BackupJson.Text(result) : Describe(result)).ConfigureAwait(false);
                return result.Passed ? ExitCode.Success : throw new CommandFailedException(ExitCode.Failed, $"the restore test of {found.Id.Brief} failed: {result.Problem}");
            }
            finally
            {
                // .NET cannot delete names that are not UTF-8.
                using var remove = Process.Start("rm", ["-rf", "--one-file-system", place]);
                await remove.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }));
        return command;
    }

    private static async Task<RestoreTestView> TestAsync(
        ResticRepository repository, Snapshot snapshot, string? path, string place, Func<string, Sandbox>? sandbox, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var progress = new BackupProgress();
        var restored = await ProgressLine.ShowAsync("restore", progress, snapshot.Summary?.TotalBytes, () => new RestoreEngine(repository).RunAsync(
            snapshot, new RestoreRequest { Target = place, Path = path }, progress, cancellation)).ConfigureAwait(false);
        var view = new RestoreTestView(snapshot.Id.ToString(), true, restored.Files, restored.Bytes, clock.Elapsed.TotalSeconds, 0, "", null);
        if (restored.Problems.Count > 0)
        {
            return view with { Passed = false, Problem = $"{restored.Problems[0].Path}: {restored.Problems[0].Reason}" };
        }
        if (sandbox is null)
        {
            return view;
        }
        clock.Restart();
        var where = place + "/" + (path ?? (snapshot.Paths.Count == 1 ? snapshot.Paths[0] : "")).TrimStart('/');
        var (answer, failure) = await sandbox(Directory.Exists(where) ? where : place).RunAsync(cancellation).ConfigureAwait(false);
        return view with { Passed = failure is null, StartSeconds = clock.Elapsed.TotalSeconds, Answer = answer.Trim(), Problem = failure };
    }

    private static string Describe(RestoreTestView v) => string.Create(CultureInfo.InvariantCulture, $"""
        Restored {v.Files} files, {Sizes.Of(v.Bytes)}, in {v.RestoreSeconds:0.0} s{(v.StartSeconds > 0 ? $"; answered after {v.StartSeconds:0.0} s" : "")}
        {(v.Passed ? "Passed" : "FAILED")}{(v.Answer.Length > 0 ? ": " + v.Answer : "")}
        """);
}

using System.CommandLine;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup copy</c>.</summary>
internal static class CopyCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var target = new RepositoryOptions("to-");
        var command = new Command("copy", "Copies snapshots that the other repository lacks to it: for another site, or to a new master key.");
        repository.AddTo(command);
        target.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, from => target.UseAsync(parsed, cancellation, async to =>
        {
            await from.LoadIndexAsync(cancellation).ConfigureAwait(false);
            await to.LoadIndexAsync(cancellation).ConfigureAwait(false);
            var progress = new BackupProgress();
            var snapshots = await from.LoadSnapshotsAsync(cancellation).ConfigureAwait(false);
            var made = await ProgressLine.ShowAsync("copy", progress, null,
                () => new CopyEngine(from, to).RunAsync(snapshots, progress, cancellation)).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(
                $"Copied {made.Count} snapshot(s), {Sizes.Of(progress.Bytes)} of new data; {snapshots.Count - made.Count} were there already.").ConfigureAwait(false);
            return ExitCode.Success;
        })));
        return command;
    }
}

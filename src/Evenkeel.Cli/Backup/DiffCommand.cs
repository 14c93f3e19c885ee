using System.CommandLine;
using Evenkeel.Backup.Engine;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup diff</c>.</summary>
internal static class DiffCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var before = SnapshotArgument.Create("BEFORE");
        var after = SnapshotArgument.Create("AFTER");
        var output = Options.Output();
        var command = new Command("diff", "Shows what differs between two snapshots.") { before, after, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            await opened.LoadIndexAsync(cancellation).ConfigureAwait(false);
            var differences = await new DiffEngine(opened).RunAsync(
                await SnapshotArgument.FindAsync(opened, parsed.GetRequiredValue(before), cancellation).ConfigureAwait(false),
                await SnapshotArgument.FindAsync(opened, parsed.GetRequiredValue(after), cancellation).ConfigureAwait(false), cancellation).ConfigureAwait(false);
            var console = parsed.InvocationConfiguration.Output;
            await console.WriteLineAsync(parsed.GetValue(output) == OutputFormat.Json ? BackupJson.Text(differences)
                : string.Join('\n', differences.Select(d => $"{d.Change,-9} {d.Path}").DefaultIfEmpty("no difference"))).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }
}

using System.CommandLine;
using Evenkeel.Backup.Engine;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup repair</c>.</summary>
internal static class RepairCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var all = new Option<bool>("--read-all") { Description = "Also reads every pack and saves what is sound in damaged ones." };
        var output = Options.Output();
        var command = new DescribedCommand("repair", "Makes a damaged repository usable again, and says what is lost and what was saved.", """
            The index is made to name exactly what can be read. A 'run --type full' afterwards stores what is lost once more, where
            the files still are as they were; older snapshots are whole again then.
            """)
        { all, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var progress = new BackupProgress();
            var result = await ProgressLine.ShowAsync("repair", progress, null,
                () => new RepairEngine(opened).RunAsync(parsed.GetValue(all), progress, cancellation)).ConfigureAwait(false);
            var console = parsed.InvocationConfiguration;
            if (parsed.GetValue(output) == OutputFormat.Json)
            {
                await console.Output.WriteLineAsync(BackupJson.Text(result)).ConfigureAwait(false);
            }
            else
            {
                foreach (var lost in result.Lost)
                {
                    await console.Error.WriteLineAsync("evenkeel: " + lost).ConfigureAwait(false);
                }
                await console.Output.WriteLineAsync($"""
                    Index: {result.IndexesReplaced} damaged file(s) replaced, {result.PacksIndexed} pack(s) found again, {result.PacksMissing} missing pack(s) taken out
                    Packs: {result.PacksDamaged} damaged, of which {result.BlobsSaved} blob(s) were saved and {result.BlobsLost} lost
                    Files: {(result.Lost.Count == 0 ? "nothing is lost" : $"{result.Lost.Count} path(s) are lost (named above)")}
                    """).ConfigureAwait(false);
            }
            return result.Lost.Count == 0 ? ExitCode.Success : ExitCode.Failed;
        }, exclusive: true));
        return command;
    }
}

using System.CommandLine;
using System.Diagnostics;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Evidence;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup verify</c>.</summary>
internal static class VerifyCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var share = new Option<int>("--percent") { Description = "How much of the packs is read and checked byte by byte, 0 to 100.", DefaultValueFactory = _ => 5 };
        share.Validators.Add(r => { if (r.GetValueOrDefault<int>() is < 0 or > 100) r.AddError("--percent is 0 to 100."); });
        var all = new Option<bool>("--all") { Description = "Reads everything; the same as --percent 100." };
        var output = Options.Output();
        var command = new Command("verify", "Checks a repository: every snapshot's files are there, and a share of the data is as it was written.") { share, all, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var progress = new BackupProgress();
            var clock = Stopwatch.StartNew();
            var part = parsed.GetValue(all) ? 1.0 : parsed.GetValue(share) / 100.0;
            var result = await ProgressLine.ShowAsync("verify", progress, null,
                () => new VerifyEngine(opened).RunAsync(part, Random.Shared, progress, cancellation)).ConfigureAwait(false);
            var console = parsed.InvocationConfiguration;
            Record(opened, result, part, clock.Elapsed, console);
            if (parsed.GetValue(output) == OutputFormat.Json)
            {
                await console.Output.WriteLineAsync(BackupJson.Text(result)).ConfigureAwait(false);
            }
            else
            {
                foreach (var problem in result.Problems)
                {
                    await console.Error.WriteLineAsync("evenkeel: " + problem).ConfigureAwait(false);
                }
                await console.Output.WriteLineAsync($"{result.Snapshots} snapshots, {result.Packs} packs, {result.PacksRead} read ({Sizes.Of(result.BytesRead)}): "
                    + (result.Problems.Count == 0 ? "no problem found" : $"{result.Problems.Count} problem(s)")).ConfigureAwait(false);
            }
            return result.Problems.Count == 0 ? ExitCode.Success : ExitCode.Failed;
        }));
        return command;
    }

    private static void Record(ResticRepository repository, VerifyResult result, double share, TimeSpan took, InvocationConfiguration console)
    {
        try
        {
            EvidenceLog.Open().Add(new EvidenceRecord(repository.Config.Id, null, "verify", DateTimeOffset.UtcNow, result.Problems.Count == 0,
                took.TotalSeconds, share, result.Problems.Count == 0 ? $"{result.PacksRead} of {result.Packs} packs read" : result.Problems[0]));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            console.Error.WriteLine($"evenkeel: the result is not recorded: {e.Message}");
        }
    }
}

using System.CommandLine;
using Evenkeel.Backup.Engine;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup prune</c>.</summary>
internal static class PruneCommand
{
    /// <summary>The share of unneeded bytes that a pack may have before it is written anew.</summary>
    public const double DefaultTolerated = 0.05;

    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var dryRun = new Option<bool>("--dry-run", "-n") { Description = "Removes nothing; says what would be." };
        var output = Options.Output();
        var command = new Command("prune", "Removes data that no snapshot needs. Killed at any moment, it loses nothing that is needed.") { dryRun, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var dry = parsed.GetValue(dryRun);
            var result = await new PruneEngine(opened).RunAsync(DefaultTolerated, dry, cancellation).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(
                parsed.GetValue(output) == OutputFormat.Json ? BackupJson.Text(result) : Describe(result, dry)).ConfigureAwait(false);
            return ExitCode.Success;
        }, exclusive: true));
        return command;
    }

    public static string Describe(PruneResult result, bool dryRun) =>
        $"{(dryRun ? "Would free" : "Freed")} {Sizes.Of(result.BytesFreed)}: {result.PacksDeleted} packs deleted, {result.PacksRepacked} of them repacked, {result.PacksKept} kept.";
}

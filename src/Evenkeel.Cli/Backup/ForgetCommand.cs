using System.CommandLine;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup forget</c>: retention.</summary>
internal static class ForgetCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var last = Count("--keep-last", "the newest N snapshots");
        var hourly = Count("--keep-hourly", "the newest of each of N hours");
        var daily = Count("--keep-daily", "the newest of each of N days");
        var weekly = Count("--keep-weekly", "the newest of each of N weeks");
        var monthly = Count("--keep-monthly", "the newest of each of N months");
        var yearly = Count("--keep-yearly", "the newest of each of N years");
        var within = new Option<double?>("--keep-within-days") { Description = "Keeps everything that is at most this many days older than the newest." };
        var trust = new Option<bool>("--trust-times") { Description = "Goes by the snapshots' own times where the server's arrival times differ, as in a repository that was copied." };
        var dryRun = new Option<bool>("--dry-run", "-n") { Description = "Removes nothing; shows each decision and its reason." };
        var prune = new Option<bool>("--prune") { Description = "Also removes the data that no snapshot needs any more." };
        var output = Options.Output();
        var command = new Command("forget", "Removes snapshots that no rule keeps, for each machine and set of paths apart. Data stays until 'prune'.")
            { last, hourly, daily, weekly, monthly, yearly, within, trust, dryRun, prune, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var policy = new RetentionPolicy(parsed.GetValue(last), parsed.GetValue(hourly), parsed.GetValue(daily), parsed.GetValue(weekly),
                parsed.GetValue(monthly), parsed.GetValue(yearly), parsed.GetValue(within) is { } days ? TimeSpan.FromDays(days) : null, parsed.GetValue(trust));
            if (policy.IsEmpty)
            {
                throw new CommandFailedException(ExitCode.Usage, "no rule says what to keep, so everything would go", "Give at least one --keep-… option.");
            }
            return repository.UseAsync(parsed, cancellation, opened => ForgetAsync(
                opened, policy, parsed.GetValue(dryRun), parsed.GetValue(prune), parsed.GetValue(output), parsed.InvocationConfiguration, cancellation), exclusive: true);
        });
        return command;
    }

    private static Option<int> Count(string name, string what)
    {
        var option = new Option<int>(name) { Description = $"Keeps {what}.", HelpName = "N" };
        option.Validators.Add(r => { if (r.GetValueOrDefault<int>() < 0) r.AddError($"{name} is 0 or more."); });
        return option;
    }

    private static async Task<int> ForgetAsync(ResticRepository repository, RetentionPolicy policy, bool dryRun, bool prune,
        OutputFormat format, InvocationConfiguration console, CancellationToken cancellation)
    {
        var retention = new RetentionEngine(repository);
        var decisions = await retention.DecideAsync(policy, concerns: null, cancellation).ConfigureAwait(false);
        if (format == OutputFormat.Json)
        {
            await console.Output.WriteLineAsync(BackupJson.Text<IReadOnlyList<DecisionView>>(
                [.. decisions.Select(d => new DecisionView(SnapshotView.Of(d.Snapshot), d.Keep, d.Reasons))])).ConfigureAwait(false);
        }
        else
        {
            foreach (var d in decisions)
            {
                await console.Output.WriteLineAsync($"{(d.Keep ? "keep  " : "remove")}  {d.Snapshot.Id.Brief}  {d.Snapshot.When:yyyy-MM-dd HH:mm}  {d.Snapshot.Hostname}  "
                    + (d.Keep ? string.Join(", ", d.Reasons) : PostgresTags.SegmentOf(d.Snapshot) is null ? "no rule keeps it" : "log that no later state needs")).ConfigureAwait(false);
            }
        }
        if (dryRun)
        {
            return ExitCode.Success;
        }
        await retention.RemoveAsync(decisions, cancellation).ConfigureAwait(false);
        if (prune)
        {
            var result = await new PruneEngine(repository).RunAsync(PruneCommand.DefaultTolerated, dryRun: false, cancellation).ConfigureAwait(false);
            await console.Error.WriteLineAsync(PruneCommand.Describe(result, dryRun: false)).ConfigureAwait(false);
        }
        return ExitCode.Success;
    }
}

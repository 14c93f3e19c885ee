using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Commands;
using Evenkeel.Cli.Views;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup jobs</c> and <c>backup now</c>: the running cluster's backup jobs.</summary>
internal static class ClusterJobCommands
{
    public static Command CreateJobs()
    {
        var output = Options.Output();
        return new DescribedCommand("jobs", "Lists the cluster's backup jobs: last good one, what runs, what comes next.",
            "Jobs are under 'backups' in the cluster's file. Exit code 1 when one of them needs somebody to look at it.")
        { output }.Acts(async call =>
        {
            var report = await call.Client.StatusAsync(call.Cancellation);
            var findings = StatusFindings.Of(report).Where(finding => finding.Subject.StartsWith("backup/", StringComparison.Ordinal)).ToList();
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
                call.Output.WriteLine(JsonSerializer.Serialize(report.Backups, ClientJson.Default.IReadOnlyListBackupReport));
            else if (report.Backups.Count == 0)
                call.Output.WriteLine("The cluster's file has no 'backups'.");
            else
                Terminal.For(call.Output).Write(BackupView.Of(report));
            foreach (var finding in findings)
                call.Error.WriteLine($"evenkeel: {finding.What}\n          do: {finding.Do}");
            return findings.Count == 0 ? ExitCode.Success : ExitCode.Failed;
        });
    }

    public static Command CreateNow()
    {
        var job = new Argument<string>("JOB") { Description = "As 'evenkeel backup jobs' names it." };
        var task = new Option<BackupTask>("--task", "-t") { Description = "full, differential, incremental, independent, prune or verify.", DefaultValueFactory = _ => BackupTask.Incremental };
        return new DescribedCommand("now", "Asks the cluster for a run of a backup job at once.", "The controller gives it to a node as it would a scheduled one; answers once that is asked for.")
        { job, task }.Acts(async call =>
        {
            call.Output.WriteLine((await call.Client.BackUpAsync(call.Parsed.GetRequiredValue(job), call.Parsed.GetValue(task), call.Cancellation)).Message);
            return ExitCode.Success;
        });
    }
}

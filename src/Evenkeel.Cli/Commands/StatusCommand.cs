using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Views;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>status</c>: one screen that answers 'is everything all right, and if not, what do I do?'.</summary>
internal static class StatusCommand
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);

    public static Command Create()
    {
        var output = Options.Output();
        var wait = new Option<string?>("--wait") { Description = "Look again until everything is all right and nothing restarts, for so long at most: 60s, 5m. For scripts.", HelpName = "TIME" };
        wait.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } given && !Duration.TryParse(given, out _)) result.AddError("--wait is a time like 60s, 5m.");
        });
        return new DescribedCommand("status", "Is everything all right, and if not, what to do.", """
            The first line answers; below it each problem with what to do about it, worst first; then nodes,
            virtual IPs and services. It is the view of one agent: 'seen by' says whose.
            Exit code 0 when everything is all right (notes allowed), 1 when something is down or degraded.
            """)
        { output, wait }.Acts(async call =>
        {
            var until = DateTime.UtcNow + (call.Parsed.GetValue(wait) is { } given && Duration.TryParse(given, out var time) ? time : TimeSpan.Zero);
            StatusReport report;
            IReadOnlyList<Finding> findings;
            while (true)
            {
                report = await call.Client.StatusAsync(call.Cancellation);
                findings = StatusFindings.Of(report);
                if (DateTime.UtcNow >= until || (findings.All(finding => finding.Concern == Concern.Note) && report.Nodes.All(node => node is { Ready: true, Restarting: false } or { Role: NodeRole.Witness, Restarting: false })))
                    break;
                await Task.Delay(s_look, call.Cancellation);
            }

            var right = findings.All(finding => finding.Concern == Concern.Note);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
                call.Output.WriteLine(JsonSerializer.Serialize(new StatusDocument(right, findings, report), ClientJson.Default.StatusDocument));
            else
                Terminal.For(call.Output).Write(StatusView.Of(report, findings));
            return right ? ExitCode.Success : ExitCode.Failed;
        });
    }
}

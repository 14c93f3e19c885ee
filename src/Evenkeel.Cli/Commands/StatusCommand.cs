using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Views;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>status</c>: one screen that answers 'is everything all right, and if not, what do I do?'.</summary>
internal static class StatusCommand
{
    public static Command Create()
    {
        var output = Options.Output();
        return new DescribedCommand("status", "Is everything all right, and if not, what to do.", """
            The first line answers; below it each problem with what to do about it, worst first; then nodes,
            virtual IPs and services. It is the view of one agent: 'seen by' says whose.
            Exit code 0 when everything is all right (notes allowed), 1 when something is down or degraded.
            """)
        { output }.Acts(async call =>
        {
            var report = await call.Client.StatusAsync(call.Cancellation);
            var findings = StatusFindings.Of(report);
            var right = findings.All(finding => finding.Concern == Concern.Note);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
                call.Output.WriteLine(JsonSerializer.Serialize(new StatusDocument(right, findings, report), ClientJson.Default.StatusDocument));
            else
                Terminal.For(call.Output).Write(StatusView.Of(report, findings));
            return right ? ExitCode.Success : ExitCode.Failed;
        });
    }
}

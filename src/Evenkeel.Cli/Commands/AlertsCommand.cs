using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Commands;

/// <summary><c>alerts</c>: what stands, who is told; <c>alerts test</c>: are they?</summary>
internal static class AlertsCommand
{
    public static Command Create()
    {
        var output = Options.Output();
        var command = new DescribedCommand("alerts", "Lists what is the matter since when, and who is told of it.", """
            Receivers are under 'alerts' in the cluster file. One node tells them: the one whose agent is the controller, or
            an agent that knows of no controller. What an alert means and what to do is in docs/operations/alerts.md.
            """)
        { output, Test() };
        return command.Acts(async call =>
        {
            var report = await call.Client.AlertsAsync(call.Cancellation);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
            {
                call.Output.WriteLine(JsonSerializer.Serialize(report, ClientJson.Default.AlertsReport));
                return ExitCode.Success;
            }

            foreach (var alert in report.Standing)
                call.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{alert.Since.ToLocalTime():yyyy-MM-dd HH:mm:ss}  {alert.Concern.ToString().ToLowerInvariant(),-8}  {alert.Alert,-22}  {alert.Subject,-16}  {alert.What}"));
            if (report.Standing.Count == 0)
                call.Output.WriteLine(report.Receivers.Count == 0 ? "The cluster file names no receiver of alerts: see 'evenkeel status'." : "Nothing is the matter.");
            foreach (var receiver in report.Receivers)
                call.Output.WriteLine($"receiver {receiver.Name}: {receiver.Where}, from {receiver.From.ToString().ToLowerInvariant()}, {State(receiver)}");
            if (report is { Receivers.Count: > 0, Speaks: false })
                call.Error.WriteLine($"{report.AnsweredBy} does not tell them now; the controller's node does.");
            return ExitCode.Success;
        });
    }

    private static Command Test()
    {
        var receiver = new Argument<string?>("RECEIVER") { Description = "Of the cluster file; all of them when not given.", Arity = ArgumentArity.ZeroOrOne };
        return new DescribedCommand("test", "Sends a test to the receivers of alerts from this node.",
            "Do it on every node: each may be the one that has to tell. Exit code 1 when a receiver did not get it.")
        { receiver }.Acts(async call =>
        {
            call.Output.WriteLine((await call.Client.TestAlertsAsync(new AlertTest(call.Parsed.GetValue(receiver)), call.Cancellation)).Message);
            return ExitCode.Success;
        });
    }

    private static string State(ReceiverReport receiver)
    {
        var told = receiver.LastDone is { } last ? $"last told {last.ToLocalTime():yyyy-MM-dd HH:mm:ss}" : "not told anything yet";
        return receiver.Problem.Length == 0 ? told : $"{told}; {receiver.Waiting} waiting: {receiver.Problem}";
    }
}

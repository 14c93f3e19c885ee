using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Commands;

/// <summary><c>explain SERVICE</c>: why it is where it is.</summary>
internal static class ExplainCommand
{
    public static Command Create()
    {
        var service = new Argument<string>("SERVICE") { Description = "The service's name." };
        var output = Options.Output();
        return new DescribedCommand("explain", "Says why a service is where it is.",
            "For each node what spoke for it and against it, then the events that led here.")
        { service, output }.Acts(async call =>
        {
            var explanation = await call.Client.ExplainAsync(call.Parsed.GetRequiredValue(service), call.Cancellation);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
                call.Output.WriteLine(JsonSerializer.Serialize(explanation, ClientJson.Default.Explanation));
            else
                Write(explanation, call.Output);
            return ExitCode.Success;
        });
    }

    private static void Write(Explanation explanation, TextWriter output)
    {
        output.WriteLine($"{explanation.Service}: {explanation.Summary}");
        if (explanation.Owner is { } owner)
            output.WriteLine($"owner: {owner.Node}, epoch {owner.Epoch}");
        foreach (var node in explanation.Nodes)
        {
            var verdict = node.Verdict switch { Verdict.Chosen => "chosen", Verdict.Possible => "possible", _ => "excluded" };
            output.WriteLine($"  {node.Node,-12} {verdict,-9}{(node.Score is { } score ? $" score {score}" : "")}");
            foreach (var reason in node.Reasons)
                output.WriteLine("      " + reason);
        }
        if (explanation.History.Count > 0)
            output.WriteLine("what led here:");
        foreach (var happened in explanation.History)
            output.WriteLine("  " + EventsCommand.Line(happened));
    }
}

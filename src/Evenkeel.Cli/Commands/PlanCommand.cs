using System.CommandLine;
using System.Text.Json;
using Evenkeel.Cli.Views;

namespace Evenkeel.Cli.Commands;

/// <summary><c>plan FILE</c>: what would change, and what that would do.</summary>
internal static class PlanCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "The cluster file." };
        var output = Options.Output();
        return new DescribedCommand("plan", "Shows what applying a cluster file would change, and what that would do.", """
            Changes nothing. Each change says its consequence: nothing, a start, a move, a restart, a stop.
            Exit code 0 also when there is nothing to change; 3 when the file has errors.
            """)
        { file, output }.Acts(async call =>
        {
            var plan = await call.Client.PlanAsync(ClusterFileText.Read(call.Parsed.GetRequiredValue(file), call.Error), call.Cancellation);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
                call.Output.WriteLine(JsonSerializer.Serialize(plan, ClientJson.Default.PlanReport));
            else
                Terminal.For(call.Output).Write(PlanView.Of(plan.Changes));
            return ExitCode.Success;
        });
    }
}

using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Configuration;
using Evenkeel.Cli.Views;
using Spectre.Console;

namespace Evenkeel.Cli.Commands;

/// <summary><c>apply FILE</c>: plan, ask where something would be interrupted, commit exactly that plan.</summary>
internal static class ApplyCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "The cluster file." };
        var yes = new Option<bool>("--yes", "-y") { Description = "Do not ask, also when something moves, restarts or stops." };
        var output = Options.Output();
        return new DescribedCommand("apply", "Makes the cluster run a cluster file.", """
            Shows the plan, asks when something would move, restart or stop (without a terminal: --yes is needed),
            then commits it. If somebody else changed the configuration in between it is refused: plan again.
            Exit code 0 once committed (watch 'evenkeel status' for the rest), 3 errors in the file, 4 refused.
            """)
        { file, yes, output }.Acts(async call =>
        {
            var request = ClusterFileText.Read(call.Parsed.GetRequiredValue(file), call.Error);
            var json = call.Parsed.GetValue(output) == OutputFormat.Json;
            var plan = await call.Client.PlanAsync(request, call.Cancellation);
            var console = Terminal.For(call.Output);
            if (!json)
                console.Write(PlanView.Of(plan.Changes));
            if (!call.Parsed.GetValue(yes) && plan.Changes.Any(change => change.Effect is ChangeEffect.Moves or ChangeEffect.Restarts or ChangeEffect.Stops))
                await ConfirmAsync(console, call.Output, json, call.Cancellation);
            var applied = await call.Client.ApplyAsync(request with { Revision = plan.Revision }, call.Cancellation);
            call.Output.WriteLine(json ? JsonSerializer.Serialize(applied, ClientJson.Default.ApplyReport)
                : applied.Changes.Count == 0 ? "Nothing was changed." : $"Applied as revision {applied.Revision}.");
            return ExitCode.Success;
        });
    }

    private static async Task ConfirmAsync(IAnsiConsole console, TextWriter output, bool json, CancellationToken cancellation)
    {
        if (json || !Terminal.IsTerminal(output) || Console.IsInputRedirected)
            throw new CommandFailedException(ExitCode.Refused, "this would interrupt something, and there is nobody to ask; nothing was changed", "If that is meant: --yes");
        if (!await console.PromptAsync(new ConfirmationPrompt("Apply?") { DefaultValue = false }, cancellation))
            throw new CommandFailedException(ExitCode.Refused, "not applied; nothing was changed");
    }
}

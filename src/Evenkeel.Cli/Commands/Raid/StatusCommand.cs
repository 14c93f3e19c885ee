using System.CommandLine;
using System.Text.Json;
using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid status</c>.</summary>
internal static class StatusCommand
{
    public static Command Create()
    {
        var names = new Argument<string[]>("NAME") { Description = "Arrays; all that run here when left out.", Arity = ArgumentArity.ZeroOrMore };
        var output = Cli.Options.Output();
        var command = new DescribedCommand("status", "Shows the arrays that run here: state, members, what is being done.",
            "Exit code 1 when one of them is degraded or broken. For arrays that do not run: 'evenkeel raid examine MEMBER...'.") { names, output };
        command.SetAction((parsed, stop) => RaidGuard.RunAsync(async () =>
        {
            var wanted = parsed.GetValue(names) is { Length: > 0 } given ? given : null;
            var found = new List<ArrayReport>();
            foreach (var name in wanted ?? RunningArrays.Names())
            {
                using var link = await RunningArrays.FindAsync(name, stop).ConfigureAwait(false);
                if (link is not null) found.Add(RunningArrays.Check(await link.OrderAsync(new HostOrder("status"), stop).ConfigureAwait(false)));
                else if (wanted is not null) throw new CommandFailedException(ExitCode.Failed, $"no array '{name}' runs here", "Start it with 'evenkeel raid assemble MEMBER...'.");
            }

            var writer = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(output) == OutputFormat.Json) writer.WriteLine(JsonSerializer.Serialize(found, RaidJson.Default.IReadOnlyListArrayReport));
            else if (found.Count == 0) writer.WriteLine("No array runs here.");
            else found.ForEach(array => ArrayText.Write(writer, array));
            return found.Exists(array => array.State is "degraded" or "broken") ? ExitCode.Failed : ExitCode.Success;
        }));
        return command;
    }
}

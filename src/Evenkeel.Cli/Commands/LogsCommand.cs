using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>logs SERVICE</c>: what its instances printed.</summary>
internal static class LogsCommand
{
    public static Command Create()
    {
        var service = new Argument<string>("SERVICE") { Description = "The service's name." };
        var node = new Option<string?>("--node") { Description = "Only the instance on this node. Default: every reachable one.", HelpName = "NODE" };
        var lines = new Option<int>("--lines", "-n") { Description = "How many past lines of each instance, at most 100000.", DefaultValueFactory = _ => 100, HelpName = "NUMBER" };
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay and print new lines as they come." };
        var output = Options.Output();
        return new DescribedCommand("logs", "Prints what a service's instances wrote to their standard output and error.",
            "With --output json each line is one JSON document.")
        { service, node, lines, follow, output }.Acts(async call =>
        {
            var json = call.Parsed.GetValue(output) == OutputFormat.Json;
            var only = call.Parsed.GetValue(node) is { } name ? new NodeName(name) : (NodeName?)null;
            await foreach (var line in call.Client.LogsAsync(call.Parsed.GetRequiredValue(service), only, call.Parsed.GetValue(lines), call.Parsed.GetValue(follow), call.Cancellation))
                await call.Output.WriteLineAsync(json ? JsonSerializer.Serialize(line, ControlJson.Default.LogLine)
                    : string.Create(CultureInfo.InvariantCulture, $"{line.At.ToLocalTime():HH:mm:ss.fff} {line.Node} {line.Text}"));
            return ExitCode.Success;
        });
    }
}

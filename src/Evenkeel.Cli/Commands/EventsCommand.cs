using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Control;

namespace Evenkeel.Cli.Commands;

/// <summary><c>events</c>: what happened.</summary>
internal static class EventsCommand
{
    public static Command Create()
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay and print new events as they come." };
        var limit = new Option<int>("--limit", "-n") { Description = "How many past events, at most 100000.", DefaultValueFactory = _ => 100, HelpName = "NUMBER" };
        var after = new Option<long>("--after") { Description = "Only events with a greater sequence number.", HelpName = "SEQUENCE" };
        var output = Options.Output();
        return new DescribedCommand("events", "Prints what happened: nodes lost and back, owners changed, services failed.",
            "Oldest first. With --output json each line is one JSON document.")
        { follow, limit, after, output }.Acts(call => PrintAsync(call.Client, call.Output, call.Parsed.GetValue(after), call.Parsed.GetValue(limit),
            call.Parsed.GetValue(follow), call.Parsed.GetValue(output) == OutputFormat.Json, call.Cancellation));
    }

    public static async Task<int> PrintAsync(ControlClient client, TextWriter output, long after, int limit, bool follow, bool json, CancellationToken cancellation)
    {
        await foreach (var happened in client.EventsAsync(after, limit, follow, cancellation))
            await output.WriteLineAsync(json ? JsonSerializer.Serialize(happened, ControlJson.Default.ClusterEvent) : Line(happened));
        return ExitCode.Success;
    }

    public static string Line(ClusterEvent happened)
    {
        var mark = happened.Severity switch { EventSeverity.Problem => "✗", EventSeverity.Warning => "!", _ => " " };
        return string.Create(CultureInfo.InvariantCulture, $"{happened.At.ToLocalTime():yyyy-MM-dd HH:mm:ss.fff} {mark} {happened.Subject,-16} {happened.Message}");
    }
}

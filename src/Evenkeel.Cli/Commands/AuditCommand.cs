using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Commands;

/// <summary><c>audit</c>: who changed what.</summary>
internal static class AuditCommand
{
    public static Command Create()
    {
        var limit = new Option<int>("--limit", "-n") { Description = "How many of the last changes, at most 100000.", DefaultValueFactory = _ => 100, HelpName = "NUMBER" };
        var output = Options.Output();
        return new DescribedCommand("audit", "Prints who changed what by way of this node's agent, and how it ended.",
            "Oldest first. Each agent has the trail of what it was asked: ask another one with --cluster SOCKET. With --output json each line is one JSON document.")
        { limit, output }.Acts(async call =>
        {
            var json = call.Parsed.GetValue(output) == OutputFormat.Json;
            await foreach (var entry in call.Client.AuditAsync(call.Parsed.GetValue(limit), call.Cancellation))
                await call.Output.WriteLineAsync(json ? JsonSerializer.Serialize(entry, ControlJson.Default.AuditEntry) : Line(entry));
            return ExitCode.Success;
        });
    }

    private static string Line(AuditEntry entry) => string.Create(CultureInfo.InvariantCulture,
        $"{entry.At.ToLocalTime():yyyy-MM-dd HH:mm:ss} {entry.Node} {entry.Name}({entry.User}) {entry.What}: {entry.Outcome}{(entry.Said is { } said ? $", {said}" : "")}");
}

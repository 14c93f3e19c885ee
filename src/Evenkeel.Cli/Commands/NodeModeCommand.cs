using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>drain NODE</c> and <c>resume NODE</c>.</summary>
internal static class NodeModeCommand
{
    public static Command CreateDrain()
    {
        var reason = new Option<string>("--reason") { Description = "Why, for whoever looks at 'status' meanwhile.", DefaultValueFactory = _ => "", HelpName = "TEXT" };
        return Create("drain", "Takes work off a node: running requests end, owners move, nothing new goes there.",
            "Answers once it is committed; 'evenkeel status' shows when the node is empty. Undo with 'evenkeel resume NODE'.",
            NodeMode.Draining, reason);
    }

    public static Command CreateResume() =>
        Create("resume", "Gives a drained or quarantined node work again.", "Owners do not go back by themselves, unless 'placement: { failback: true }' says so.", NodeMode.Active, null);

    private static Command Create(string name, string summary, string details, NodeMode mode, Option<string>? reason)
    {
        var node = new Argument<string>("NODE") { Description = "The node's name." };
        var output = Options.Output();
        var command = new DescribedCommand(name, summary, details) { node, output };
        if (reason is not null)
            command.Add(reason);
        return command.Acts(async call =>
        {
            var request = new NodeModeRequest(mode, reason is null ? "" : call.Parsed.GetValue(reason) ?? "");
            var done = await call.Client.SetNodeModeAsync(new NodeName(call.Parsed.GetRequiredValue(node)), request, call.Cancellation);
            call.Output.WriteLine(call.Parsed.GetValue(output) == OutputFormat.Json ? JsonSerializer.Serialize(done, ClientJson.Default.Done) : done.Message);
            return ExitCode.Success;
        });
    }
}

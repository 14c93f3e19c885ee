using System.CommandLine;
using System.Text.Json;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>remove NODE</c>: takes a node that is off, or left, out of the cluster.</summary>
internal static class RemoveCommand
{
    public static Command Create()
    {
        var node = new Argument<string>("NODE") { Description = "The node's name." };
        var yes = Confirmation.Yes();
        var output = Options.Output();
        return new DescribedCommand("remove", "Takes a node that is off, or left, out of the cluster.", """
            Its etcd member is removed and its certificate revoked: that server gets nothing from the cluster any more,
            also when it is switched on again. A new server can take its name: evenkeel token NODE.
            Refused while the node's agent is heard, and when etcd would lose its majority; then nothing was changed.
            The cluster's file is not touched: take the node out of it too, if it is not to come back.
            """)
        { node, yes, output }.Acts(async call =>
        {
            var name = new NodeName(call.Parsed.GetRequiredValue(node));
            if (!call.Parsed.GetValue(yes))
            {
                await Confirmation.AskAsync($"Take {name} out of the cluster for good?", $"this takes {name} out of the cluster for good", call.Output, call.Cancellation);
            }

            var done = await call.Client.RemoveAsync(name, call.Cancellation);
            call.Output.WriteLine(call.Parsed.GetValue(output) == OutputFormat.Json ? JsonSerializer.Serialize(done, ClientJson.Default.Done) : done.Message);
            return ExitCode.Success;
        });
    }
}

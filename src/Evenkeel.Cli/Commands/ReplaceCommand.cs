using System.CommandLine;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>replace NODE</c>: takes a dead node out and lets a new server take its name.</summary>
internal static class ReplaceCommand
{
    public static Command Create()
    {
        var node = new Argument<string>("NODE") { Description = "The node's name." };
        var lifetime = TokenCommand.Lifetime();
        var yes = Confirmation.Yes();
        var output = Options.Output();
        return new DescribedCommand("replace", "Takes a dead node out, and prints the line that makes a new server that node.", """
            As 'evenkeel remove NODE' and then 'evenkeel token NODE': the old server's certificate is revoked, the new
            one gets its own and a new etcd member. Ask on a node that has the key of the certificate authority.
            """)
        { node, lifetime, yes, output }.Acts(async call =>
        {
            var name = new NodeName(call.Parsed.GetRequiredValue(node));
            if (!call.Parsed.GetValue(yes))
            {
                await Confirmation.AskAsync($"Take the server that is {name} now out of the cluster for good?", $"this takes the server that is {name} now out of the cluster for good", call.Output, call.Cancellation);
            }

            _ = Duration.TryParse(call.Parsed.GetValue(lifetime)!, out var lasts);
            TokenCommand.Print(call, await call.Client.ReplaceAsync(name, lasts, call.Cancellation), call.Parsed.GetValue(output));
            return ExitCode.Success;
        });
    }
}

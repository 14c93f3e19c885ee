using System.CommandLine;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>leave</c>: this node leaves its cluster in order.</summary>
internal static class LeaveCommand
{
    private static readonly TimeSpan s_period = TimeSpan.FromMilliseconds(200);

    public static Command Create()
    {
        var patience = new Option<string>("--patience") { Description = "How long what it owns may take to move.", HelpName = "TIME", DefaultValueFactory = _ => "2m" };
        patience.Validators.Add(result =>
        {
            if (!Duration.TryParse(result.GetValueOrDefault<string>() ?? "", out _)) result.AddError("--patience is a time like 30s, 2m.");
        });
        var yes = Confirmation.Yes();
        return new DescribedCommand("leave", "Takes the node that answers out of its cluster, in order.", """
            It is drained, and when nothing exclusive is on it any more its etcd member is removed, its certificate revoked,
            its agent stopped and its state put away (left-… below the state directory). Clients notice nothing.
            Refused, with nothing changed, where the voting nodes or etcd would lose their majority, and on the node that has
            the certificate authority's key. Interrupted while it drains: 'evenkeel resume NODE', or ask again.
            The cluster's file is not touched: take the node out of it too. From outside: evenkeel remove NODE.
            """)
        { patience, yes }.Acts(async call =>
        {
            var node = call.Client.Hello.Node;
            await call.Client.MayLeaveAsync(call.Cancellation);
            if (!call.Parsed.GetValue(yes))
            {
                await Confirmation.AskAsync($"Take {node} out of the cluster for good?", $"this takes {node} out of the cluster for good", call.Output, call.Cancellation);
            }

            _ = Duration.TryParse(call.Parsed.GetValue(patience)!, out var limit);
            call.Output.WriteLine((await call.Client.SetNodeModeAsync(node, new NodeModeRequest(NodeMode.Draining, "it leaves the cluster"), call.Cancellation)).Message);
            await EmptyAsync(call, node, limit);
            call.Output.WriteLine((await call.Client.LeaveAsync(call.Cancellation)).Message);
            return ExitCode.Success;
        });
    }

    private static async Task EmptyAsync(ClusterCall call, NodeName node, TimeSpan patience)
    {
        for (var until = DateTime.UtcNow + patience; ; await Task.Delay(s_period, call.Cancellation))
        {
            var status = await call.Client.StatusAsync(call.Cancellation);
            var owned = status.Vips.Where(vip => vip.Owner?.Node == node).Select(vip => vip.Name)
                .Concat(status.Services.Where(service => service.Owner?.Node == node).Select(service => service.Name)).ToList();
            if (owned.Count == 0)
            {
                return;
            }

            if (DateTime.UtcNow > until)
            {
                throw new CommandFailedException(ExitCode.Failed, $"{node} still owns {string.Join(", ", owned)}; it is drained, and has not left",
                    $"'evenkeel explain SERVICE' says why nobody takes it; then ask again, or: evenkeel resume {node}");
            }
        }
    }
}

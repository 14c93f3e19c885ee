using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>guard restart</c>: a new guard for this node, without an outage: what it holds moves elsewhere first.</summary>
internal static class GuardCommand
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);
    private const string Reason = "its guard is being restarted";

    public static Command Create() => new("guard", "This node's guard, the process that holds its leases.") { Restart() };

    private static Command Restart()
    {
        var timeout = new Option<int>("--timeout") { Description = "How long the node may take to become empty, in seconds (1 to 3600).", DefaultValueFactory = _ => 120, HelpName = "SECONDS" };
        timeout.Validators.Add(result => { if (result.GetValueOrDefault<int>() is < 1 or > 3600) result.AddError("--timeout is 1 to 3600 seconds."); });
        var output = Options.Output();
        return new DescribedCommand("restart", "Drains this node, replaces its guard by a new one, and takes the node back in.", """
            After an upgrade the guard goes on with the program that it was started from, so that nothing that it runs is
            touched; this is how the new one gets its turn. Services and virtual IPs move to other nodes first, as by
            'evenkeel drain', and single-active ones stay where they went; then what still runs here, while others
            serve, is stopped, standbys too. Refused (exit code 4) when no other node can have them. When it fails, the
            node is taken back in as it was.
            """)
        { timeout, output }.Acts(async call =>
        {
            var json = call.Parsed.GetValue(output) == OutputFormat.Json;
            void Say(string words) { if (!json) call.Error.WriteLine(words); }
            var node = call.Client.Hello.Node;
            var before = await OfAsync(call, node);
            var drained = before.Mode is NodeMode.Draining or NodeMode.Maintenance;
            var mode = before.Mode;
            var patience = TimeSpan.FromSeconds(call.Parsed.GetValue(timeout));
            async Task BecomeAsync(NodeMode next, string reason, CancellationToken cancellation)
            {
                await call.Client.SetNodeModeAsync(node, new NodeModeRequest(next, reason), cancellation);
                mode = next;
            }
            Done done;
            try
            {
                if (!drained)
                    await BecomeAsync(NodeMode.Draining, Reason, call.Cancellation);
                Say($"{node} is being drained …");
                await UntilAsync(call, patience, async () => HandedOver(await call.Client.StatusAsync(call.Cancellation), node), $"{node} still has what no other node has taken over after {patience.TotalSeconds:0} s");
                // One that was drained keeps idle instances where no other node takes a further one: they would end with the guard.
                if (mode is not NodeMode.Maintenance)
                    await BecomeAsync(NodeMode.Maintenance, Reason, call.Cancellation);
                await UntilAsync(call, patience, async () => (await call.Client.StatusAsync(call.Cancellation)).Services.All(service => IsEmpty(service, node)), $"{node} is not empty after {patience.TotalSeconds:0} s");
                done = await call.Client.RestartGuardAsync(call.Cancellation);
                Say(done.Message);
            }
            finally
            {
                // Also when it was interrupted: nobody else would take it back in.
                if (mode != before.Mode)
                    await BecomeAsync(drained ? before.Mode : NodeMode.Active, drained ? before.ModeReason : "", CancellationToken.None);
            }

            if (!drained)
                await UntilAsync(call, TimeSpan.FromSeconds(60), async () => await OfAsync(call, node) is { Ready: true, GuardConnected: true, Mode: NodeMode.Active }, $"{node} has a new guard, and is not ready yet");
            call.Output.WriteLine(json ? JsonSerializer.Serialize(done, ClientJson.Default.Done) : drained ? $"{node} has a new guard; it was drained before, and still is." : $"{node} has a new guard, and may own things again.");
            return ExitCode.Success;
        });
    }

    /// <summary>It owns nothing, and of whatever is hot and still runs here others serve.</summary>
    private static bool HandedOver(StatusReport status, NodeName node) =>
        status.Vips.All(vip => vip.Owner?.Node != node) && status.Services.All(service => service.Owner?.Node != node
            && (service.Activity == Activity.SingleActive || IsEmpty(service, node)
                || service.Instances.Any(instance => instance.Node != node && instance is { Status: InstanceStatus.Running, Health: not Health.Unhealthy })));

    private static bool IsEmpty(ServiceReport service, NodeName node) => service.Instances.All(instance => instance.Node != node || instance.Status == InstanceStatus.Stopped);

    private static async Task<NodeReport> OfAsync(ClusterCall call, NodeName node) => (await call.Client.StatusAsync(call.Cancellation)).Nodes.First(one => one.Name == node);

    private static async Task UntilAsync(ClusterCall call, TimeSpan patience, Func<Task<bool>> so, string failure)
    {
        for (var until = DateTime.UtcNow + patience; !await so(); await Task.Delay(Look, call.Cancellation))
            if (DateTime.UtcNow > until) throw new CommandFailedException(ExitCode.Failed, failure, "See evenkeel status");
    }
}

using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>restart SERVICE</c>: one instance after the other, the active one last.</summary>
internal static class RestartCommand
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);

    public static Command Create()
    {
        var what = new Argument<string>("SERVICE") { Description = "A service." };
        var node = new Option<string?>("--node") { Description = "Only the instance on this node.", HelpName = "NODE" };
        var pending = new Option<bool>("--pending") { Description = "Only instances that run with settings that a restart would bring into effect." };
        var inPlace = new Option<bool>("--in-place") { Description = "Restart the active instance where it is, instead of moving its role to a standby that was restarted." };
        var timeout = Options.Timeout("How long to wait for each instance, in seconds (1 to 86400).", 600);
        var output = Options.Output();
        return new DescribedCommand("restart", "Restarts a service's instances one after the other, the active one last.", """
            Waits after each until it is healthy, and in sync again where it was before. The role of an
            active instance moves to a standby that is in sync: a short wait for writers instead of a
            restart's outage; its former node then runs a restarted standby.
            A change of a setting that needs no restart is in effect as soon as it is applied.
            Exit code 0 once all are restarted, 1 when one did not come back in time, 4 refused.
            """)
        { what, node, pending, inPlace, timeout, output }.Acts(async call =>
        {
            var round = new RestartRound(call.Client, call.Parsed.GetRequiredValue(what), TimeSpan.FromSeconds(call.Parsed.GetValue(timeout)), call.Parsed.GetValue(inPlace));
            var json = call.Parsed.GetValue(output) == OutputFormat.Json;
            var only = call.Parsed.GetValue(node) is { } name ? new NodeName(name) : (NodeName?)null;
            List<Done> done = [];
            foreach (var one in await round.ChooseAsync(only, call.Parsed.GetValue(pending), call.Cancellation))
            {
                var restarted = await round.RestartAsync(one, call.Cancellation);
                done.Add(restarted);
                if (!json) call.Output.WriteLine(restarted.Message);
            }

            if (done.Count == 0) done.Add(new Done($"{round.Service}: no instance {(call.Parsed.GetValue(pending) ? "waits for a restart" : "runs")}"));
            if (json) call.Output.WriteLine(JsonSerializer.Serialize(new Done(string.Join("; ", done.Select(one => one.Message))), ClientJson.Default.Done));
            else if (done is [{ Message: var nothing }] && nothing.Contains(": no instance", StringComparison.Ordinal)) call.Output.WriteLine(nothing);
            return ExitCode.Success;
        });
    }

    /// <summary>The restarts of one call of the command.</summary>
    private sealed class RestartRound(ControlClient client, string service, TimeSpan patience, bool inPlace)
    {
        public string Service => service;

        public async Task<IReadOnlyList<NodeName>> ChooseAsync(NodeName? only, bool pending, CancellationToken cancellation)
        {
            var report = await ReportAsync(cancellation);
            if (only is { } one && report.Instances.All(instance => instance.Node != one))
                throw new CommandFailedException(ExitCode.Usage, $"{service} does not run on {one}", Spelling.Advice(one.Value, [.. report.Instances.Select(instance => instance.Node.Value)]));
            return [.. report.Instances.Where(instance => instance.Status is not InstanceStatus.Stopped && (only is null || instance.Node == only) && (!pending || instance.RestartPending))
                .OrderBy(instance => instance.Active).ThenBy(instance => instance.Node).Select(instance => instance.Node)];
        }

        public async Task<Done> RestartAsync(NodeName node, CancellationToken cancellation)
        {
            var before = await ReportAsync(cancellation);
            var wasInSync = before.Data is { } data && data.InSync.Contains(node);
            // A standby that a restart would bring up to date itself gets the role no better than its primary has it.
            var standby = inPlace || before.Instances.All(instance => instance.Node != node || !instance.Active) ? null
                : before.Instances.FirstOrDefault(instance => !instance.Active && instance is { Health: Health.Healthy, RestartPending: false } && before.Data?.InSync.Contains(instance.Node) == true);
            if (standby is not null)
            {
                var resource = ResourceId.Service(service);
                var wish = await client.MoveAsync(new MoveOrder(resource, standby.Node), cancellation);
                if (wish.Revision is { } revision) await PlannedMove.UntilDoneAsync(client, resource, standby.Node, revision, patience, cancellation);
                await UntilAsync(report => report.Instances.Any(instance => instance.Node == standby.Node && instance is { Active: true, Health: Health.Healthy })
                    && IsBack(report, node, wasInSync) && !report.Instances.First(instance => instance.Node == node).Active, node, cancellation);
                return new Done($"{service}: {standby.Node} has the role of {node}, which was restarted");
            }

            await client.RestartAsync(service, node, cancellation);
            // Where it was banned it may be tried again now; whether it also runs there the cluster decides.
            if (before.Instances.Any(instance => instance.Node == node && instance is { Ban: not Ban.None, Active: false }))
            {
                await UntilAsync(report => report.Instances.All(instance => instance.Node != node || !instance.RestartAsked), node, cancellation);
                var after = (await ReportAsync(cancellation)).Instances.FirstOrDefault(instance => instance.Node == node);
                return after is { Ban: not Ban.None } ? throw new CommandFailedException(ExitCode.Failed, $"{service} fails on {node} as before: {after.Detail}", $"evenkeel logs {service} --node {node}")
                    : new Done($"{service} may run on {node} again");
            }

            await UntilAsync(report => IsBack(report, node, wasInSync), node, cancellation);
            return new Done($"{service} was restarted on {node}");
        }

        private static bool IsBack(ServiceReport report, NodeName node, bool inSync) =>
            report.Instances.FirstOrDefault(instance => instance.Node == node) is { Health: Health.Healthy, Status: InstanceStatus.Running, RestartAsked: false } back
            && (!inSync || back.Active || report.Data?.InSync.Contains(node) == true || report.Data?.InSync.Count > 1);

        private async Task UntilAsync(Func<ServiceReport, bool> condition, NodeName node, CancellationToken cancellation)
        {
            for (var until = DateTime.UtcNow + patience; !condition(await ReportAsync(cancellation)); await Task.Delay(s_look, cancellation))
                if (DateTime.UtcNow >= until)
                    throw new CommandFailedException(ExitCode.Failed, $"{service} is not back on {node} after {patience.TotalSeconds:0} s; the others were left alone", $"evenkeel explain {service}; evenkeel logs {service} --node {node}");
        }

        private async Task<ServiceReport> ReportAsync(CancellationToken cancellation)
        {
            var status = await client.StatusAsync(cancellation);
            return status.Services.FirstOrDefault(one => one.Name == service)
                ?? throw new CommandFailedException(ExitCode.Usage, $"there is no service '{service}'", Spelling.Advice(service, [.. status.Services.Select(one => one.Name)]));
        }
    }
}

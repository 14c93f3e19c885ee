using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>Stock agents of Debian's resource-agents, unchanged: Dummy and Stateful.</summary>
[Collection("namespaces")]
[Trait("needs", "resource-agents")]
[Trait("Machine", "shared"), Trait("Turn", "2")]
public sealed class StockAgentTests
{
    private static readonly Epoch First = new(1, 1);

    [Fact]
    public async Task Dummy_StartsIsMonitoredAndStops()
    {
        await using var node = new OcfNode();
        var state = Path.Combine(node.Directory, "dummy.state");
        var order = node.Order("heartbeat:Dummy", new() { ["state"] = state });
        await node.StartAsync(order);
        Assert.True(File.Exists(state));
        Assert.Equal((InstanceStatus.Running, Health.Healthy), (node.Facts.Status, node.Facts.Health));
        var process = node.Facts.ProcessId;
        await node.StartAsync(order);
        Assert.Equal(process, node.Facts.ProcessId);
        await node.StopAsync();
        Assert.False(File.Exists(state));
        Assert.True((await node.Driver.StopAsync("svc", OcfNode.Token)).Succeeded);
    }

    [Fact]
    public async Task Dummy_ThatStoppedByItself_IsReportedAndStartedAgain()
    {
        await using var node = new OcfNode();
        var state = Path.Combine(node.Directory, "dummy.state");
        await node.StartAsync(node.Order("heartbeat:Dummy", new() { ["state"] = state }));
        File.Delete(state);
        var failed = await node.UntilAsync(facts => facts.Status == InstanceStatus.Failed);
        Assert.StartsWith("it stopped by itself", failed.Detail, StringComparison.Ordinal);
        Assert.Equal(1, failed.Restarts);
        await node.UntilAsync(facts => facts is { Status: InstanceStatus.Running, Health: Health.Healthy });
        Assert.True(File.Exists(state));
    }

    [Theory]
    [InlineData(Requirement.Fencing, InstanceStatus.Stuck)]
    [InlineData(Requirement.Quorum, InstanceStatus.Stopped)]
    public async Task Stop_ThatDoesNotEndInTime_IsStuckWhereOnlyFencingProvesTheEnd(Requirement requires, InstanceStatus status)
    {
        await using var node = new OcfNode();
        var order = node.Order("heartbeat:Delay", new() { ["startdelay"] = "0", ["mondelay"] = "0", ["stopdelay"] = "3" },
            change: driver => driver with { StopTimeout = TimeSpan.FromMilliseconds(500), MonitorEvery = TimeSpan.FromMinutes(1) });
        await node.StartAsync(order with { Spec = order.Spec with { Requires = requires } });
        var result = await node.Driver.StopAsync("svc", OcfNode.Token);
        // Killed, the agent itself says of it that it does not run.
        Assert.Equal((status == InstanceStatus.Stopped, status), (result.Succeeded, node.Facts.Status));
        Assert.Equal(requires == Requirement.Fencing, result.Reason?.Contains("must be fenced", StringComparison.Ordinal) ?? false);
    }

    [Fact]
    public async Task Start_WithAParameterThatTheAgentDoesNotHave_FailsWithTheReason()
    {
        await using var node = new OcfNode();
        var result = await node.Driver.StartAsync(node.Order("heartbeat:Dummy", new() { ["stat"] = "/x" }), OcfNode.Token);
        Assert.Contains("it has no parameter 'stat'", result.Reason, StringComparison.Ordinal);
        result = await node.Driver.StartAsync(node.Order("heartbeat:NoSuchAgent", []), OcfNode.Token);
        Assert.Contains("not installed here", result.Reason, StringComparison.Ordinal);
        result = await node.Driver.StartAsync(node.Order("heartbeat:Dummy", [], Redundancy.Warm), OcfNode.Token);
        Assert.Contains("cannot be promoted", result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_OfAMisconfiguredAgent_NamesTheCodeAndTheAgentsReason()
    {
        await using var node = new OcfNode();
        var result = await node.Driver.StartAsync(node.Order("heartbeat:nginx", new() { ["configfile"] = "/nowhere.conf", ["httpd"] = "/usr/sbin/nginx" }), OcfNode.Token);
        Assert.False(result.Succeeded);
        Assert.Contains("exit code", result.Reason, StringComparison.Ordinal);
        Assert.Contains("/nowhere.conf", result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stateful_IsPromotedAndDemoted_AndItsScoreIsKnown()
    {
        await using var node = new OcfNode();
        await node.StartAsync(node.Order("heartbeat:Stateful", new() { ["state"] = Path.Combine(node.Directory, "state") }, Redundancy.Warm));
        Assert.Null(node.Facts.Epoch);
        Assert.Equal(5, node.Facts.PromotionScore);
        var promoted = await node.Driver.PromoteAsync("svc", First, OcfNode.Token);
        Assert.True(promoted.Succeeded, promoted.Reason + node.Log());
        Assert.Equal(First, node.Facts.Epoch);
        Assert.Equal(10, node.Facts.PromotionScore);
        await node.UntilAsync(facts => facts.Detail == "promotion score 10");
        Assert.True((await node.Driver.DemoteAsync("svc", OcfNode.Token)).Succeeded);
        Assert.Equal((null, 5), (node.Facts.Epoch, node.Facts.PromotionScore));
        Assert.Equal("slave", File.ReadAllText(Path.Combine(node.Directory, "state")).Trim());
        await node.StopAsync();
    }

    [Fact]
    public async Task Agent_ThatIsRestarted_AdoptsWithRoleAndEpoch()
    {
        await using var node = new OcfNode();
        var order = node.Order("heartbeat:Stateful", new() { ["state"] = Path.Combine(node.Directory, "state") }, Redundancy.Warm);
        await node.StartAsync(order);
        Assert.True((await node.Driver.PromoteAsync("svc", First, OcfNode.Token)).Succeeded);
        var process = node.Facts.ProcessId;
        await node.RestartAgentAsync();
        await node.StartAsync(order);
        Assert.Equal((process, First, InstanceStatus.Running), (node.Facts.ProcessId, node.Facts.Epoch!.Value, node.Facts.Status));
        await node.RestartAgentAsync();
        await node.StopAsync();
        Assert.False(File.Exists(Path.Combine(node.Directory, "state")));
    }
}

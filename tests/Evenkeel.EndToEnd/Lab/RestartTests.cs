using Xunit;

namespace Evenkeel.EndToEnd.Lab;

public sealed class RestartLab() : WebLab("r");

/// <summary>An agent that is restarted under load, as an upgrade of its package does.</summary>
[Trait("State", "unproven")]
public sealed class RestartTests(RestartLab lab, ITestOutputHelper output) : IClassFixture<RestartLab>
{
    private const int HangUp = 1;

    [Fact]
    public Task AgentOfTheOwner_Restarted_VirtualIpMovesFirstAndNoRequestFails() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync();
        using var observer = lab.Observe(connectMilliseconds: 2500);
        await Task.Delay(500, TestContext.Current.CancellationToken);
        lab.Cluster.Nodes[owner].SignalAgent(HangUp);
        var next = await lab.NextOwnerAsync(owner);
        await Task.Delay(1500, TestContext.Current.CancellationToken);
        await lab.WholeAsync();
        await Task.Delay(500, TestContext.Current.CancellationToken);
        var seen = await observer.EndAsync();
        output.WriteLine($"{owner} to {next}: {seen.Failed.Count} of {seen.Requests.Count} failed, longest pause {seen.LongestOutage:F0} ms");
        Assert.Empty(seen.Failed);
        Safety.Owners([await lab.HardwareOf(owner), await lab.HardwareOf(next)], seen);
    });

    [Fact]
    public Task AgentOfAnotherNode_Restarted_ClientsNoticeNothing() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync();
        var other = lab.Other(owner);
        using var observer = lab.Observe();
        await Task.Delay(500, TestContext.Current.CancellationToken);
        lab.Cluster.Nodes[other].SignalAgent(HangUp);
        await Task.Delay(2000, TestContext.Current.CancellationToken);
        await lab.WholeAsync();
        var seen = await observer.EndAsync();
        Assert.Empty(seen.Failed);
        Safety.Owners([await lab.HardwareOf(owner)], seen);
    });
}

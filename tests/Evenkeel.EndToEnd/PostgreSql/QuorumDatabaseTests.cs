using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>A PostgreSQL whose commits wait for any one of two standbys: nobody knows which has a write, and none is lost.</summary>
[Trait("needs", "root")]
public sealed class QuorumDatabaseTests(QuorumDatabaseLab lab, ITestOutputHelper output) : IClassFixture<QuorumDatabaseLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("silent cut")]
    [InlineData("postgres killed", Traits = ["Turn", "3"])]
    [InlineData("power", Traits = ["Stage", "long"])]
    [InlineData("agent and guard stopped", Traits = ["Stage", "long"])]
    public Task Primary_Lost_TheFurthestStandbyTakesOverAndNoAcknowledgedWriteIsLost(string fault) => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        await DatabaseFault.Of(fault).HitAsync(lab, primary, Token);
        var next = await lab.NextPrimaryAsync(primary);
        await Task.Delay(1000, Token);
        var verdict = await run.EndAsync($"quorum, {fault}: {primary} -> {next}", output);
        Safety.NothingIsLost(verdict);
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.Zero, TimeSpan.FromSeconds(6));
    });

    /// <summary>The other standby confirms; that one is gone costs writers nothing.</summary>
    [Fact, Trait("Turn", "3")]
    public Task Standby_Lost_NobodyWaits() => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var standby = lab.Cluster.Spec.Nodes.Keys.Last(node => node != primary);
        await DatabaseFault.Of("postgres stopped").HitAsync(lab, standby, Token);
        await Task.Delay(3000, Token);
        var verdict = await run.EndAsync($"quorum, standby {standby} stopped", output);
        Safety.NothingIsLost(verdict);
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.Zero, TimeSpan.FromSeconds(1));
    });

    /// <summary>With the primary and one of two standbys gone, the other may lack a write: it must not guess.</summary>
    [Fact]
    public async Task PrimaryAndAStandby_Lost_TheOtherWaitsUntilOneIsBack()
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var standby = lab.Cluster.Spec.Nodes.Keys.Last(node => node != primary);
        // Its agent and its vote live on, so that a majority is there to promote, were it let; but no server starts on a full disk.
        await DatabaseFault.Of("disk full").HitAsync(lab, standby, Token);
        await DatabaseFault.Of("postgres killed").HitAsync(lab, standby, Token);
        lab.Cluster.Kill(primary);
        for (var until = DateTime.UtcNow + TimeSpan.FromSeconds(4); DateTime.UtcNow < until; await Task.Delay(100, Token))
            Assert.DoesNotContain((await lab.Cluster.StatusAsync(Token))?.Services.Single().Instances ?? [], instance => instance is { Active: true } && instance.Node != primary);
        Safety.NothingIsLost(await run.EndAsync($"quorum, {primary} and {standby}", output));
    }

    [Fact, Trait("Turn", "3")]
    public Task Switchover_LosesNothing() => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var to = lab.Cluster.Spec.Nodes.Keys.Last(node => node != primary);
        var next = await lab.SwitchOverAsync(primary, to);
        Safety.NothingIsLost(await run.EndAsync($"quorum, switchover {primary} -> {next} (asked for {to})", output));
    });
}

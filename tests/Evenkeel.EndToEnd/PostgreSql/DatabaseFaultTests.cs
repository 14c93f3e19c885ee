using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>
/// What clients of a hot PostgreSQL lose and wait for when things fail: nothing that was acknowledged, and a few seconds. The
/// account of what was acknowledged is the clients' own.
/// </summary>
[Trait("needs", "root")]
[Collection(HotDatabaseCollection.Name)]
public sealed class DatabaseFaultTests(HotDatabaseLab lab, ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("power")]
    [InlineData("silent cut")]
    [InlineData("deaf", Traits = ["Turn", "3"])]
    [InlineData("postgres killed")]
    [InlineData("disk full", Traits = ["Stage", "long"])]
    [InlineData("agent and guard killed", Traits = ["Turn", "1"])]
    [InlineData("mute", Traits = ["Stage", "long"])]
    [InlineData("postgres stopped", Traits = ["Stage", "long"])]
    [InlineData("agent and guard stopped", Traits = ["Stage", "long"])]
    public Task Primary_Lost_AStandbyTakesOverAndNoAcknowledgedWriteIsLost(string fault) => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        await DatabaseFault.Of(fault).HitAsync(lab, primary, Token);
        var next = await lab.NextPrimaryAsync(primary);
        await Task.Delay(1000, Token);
        var verdict = await run.EndAsync($"{fault}: {primary} -> {next}", output);
        Safety.NothingIsLost(verdict);
        // That a server with a full disk is ill takes a look and three seconds of patience (a move would not help a busy machine).
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.Zero, TimeSpan.FromSeconds(fault == "disk full" ? 10 : 5));
    });

    [Fact]
    public Task Switchover_LosesNothing() => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var to = (await lab.ServiceAsync()).Data!.InSync.First(node => node != primary);
        Assert.Equal(to, await lab.SwitchOverAsync(primary, to));
        await Task.Delay(1000, Token);
        var verdict = await run.EndAsync("switchover", output);
        Safety.NothingIsLost(verdict);
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    });

    [Theory]
    [InlineData("postgres stopped", Traits = ["Turn", "2"])]
    [InlineData("power", Traits = ["Stage", "long"])]
    [InlineData("disk full", Traits = ["Stage", "long"])]
    public Task Standby_Lost_WritesGoOnAndItComesBackInSync(string fault) => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var standby = (await lab.ServiceAsync()).Data!.InSync.First(node => node != primary);
        await DatabaseFault.Of(fault).HitAsync(lab, standby, Token);
        await Task.Delay(3000, Token);
        await lab.RestoreAsync();
        Assert.Equal(primary, await lab.PrimaryAsync());
        var verdict = await run.EndAsync($"standby, {fault}", output);
        Safety.NothingIsLost(verdict);
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.Zero, TimeSpan.FromSeconds(3));
    });

    /// <summary>The third alone may decide nothing: nobody writes until one is back, and then nothing is missing.</summary>
    [Fact, Trait("Turn", "1")]
    public async Task TwoNodes_LostAndBackAtOnce_NoAcknowledgedWriteIsLost()
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var standby = (await lab.ServiceAsync()).Data!.InSync.First(node => node != primary);
        lab.Cluster.Kill(primary);
        lab.Cluster.Kill(standby);
        await Task.Delay(2000, Token);
        Safety.NothingIsLost(await run.EndAsync($"{primary} and {standby}", output));
    }
}

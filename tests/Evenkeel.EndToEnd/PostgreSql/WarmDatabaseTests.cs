using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>What clients of a warm (asynchronous) PostgreSQL lose: no more than what was on its way when the primary was lost.</summary>
[Trait("needs", "root")]
[Trait("Turn", "2")]
public sealed class WarmDatabaseTests(WarmDatabaseLab lab, ITestOutputHelper output) : IClassFixture<WarmDatabaseLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("silent cut")]
    [InlineData("power", Traits = ["Stage", "long"])]
    public Task Primary_Lost_AStandbyTakesOverAndWhatIsLostIsBounded(string fault) => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        await DatabaseFault.Of(fault).HitAsync(lab, primary, Token);
        var next = await lab.NextPrimaryAsync(primary);
        await Task.Delay(1000, Token);
        var verdict = await run.EndAsync($"{fault}: {primary} -> {next}", output);
        // A cut-off primary acknowledges for as long as its lease runs, and no longer.
        Assert.InRange(verdict.Lost.Count, 0, verdict.Acknowledged / 4);
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    });

    /// <summary>A primary that is asked to stop sends its standbys everything first: they follow it until it has ended.</summary>
    [Fact]
    public Task Switchover_LosesNothing() => lab.PlayAsync(async () =>
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var to = lab.Cluster.Spec.Nodes.Keys.First(node => node != primary);
        Assert.Equal(to, await lab.SwitchOverAsync(primary, to));
        var verdict = await run.EndAsync($"warm switchover: {primary} -> {to}", output);
        Safety.NothingIsLost(verdict);
    });
}

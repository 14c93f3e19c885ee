using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>A replicated service by its stock agent in a whole cluster: its standby follows, takes over with what it was given, and the former primary follows it.</summary>
[Trait("needs", "root")]
[Trait("Turn", "1")]
public sealed class RedisClusterTests(RedisLab lab) : IClassFixture<RedisLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("agent and guard killed")]
    [InlineData("power", Traits = ["Stage", "long"])]
    public Task Primary_Lost_TheStandbyIsPromotedWithWhatItHasAndIsFollowed(string fault) => lab.PlayAsync(async () =>
    {
        var primary = (await lab.PrimaryAsync())!.Value;
        var standby = await lab.StandbyAsync();
        await WriteAsync(fault);
        if (fault == "power") lab.Cluster.Kill(primary);
        else lab.Cluster.Nodes[primary].SignalAll(Signals.Kill);
        Assert.Equal(standby, await lab.NextPrimaryAsync(primary));
        await lab.UntilAsync(answer => answer == fault, "get", "kept");
        Assert.Equal("OK", await lab.AskAsync("set", "kept", "after"));
        await lab.RestoreAsync();
        Assert.Equal("after", await lab.AskAsync("get", "kept"));
        Assert.Equal(standby, await lab.PrimaryAsync());
    });

    [Fact]
    public Task Move_TakesEveryWriteAlong() => lab.PlayAsync(async () =>
    {
        var primary = (await lab.PrimaryAsync())!.Value;
        var standby = await lab.StandbyAsync();
        await WriteAsync("moved");
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("cache"), standby, Token));
        Assert.Equal(standby, await lab.NextPrimaryAsync(primary));
        await lab.UntilAsync(answer => answer == "moved", "get", "kept");
        // The former primary follows now.
        await lab.WholeAsync();
    });

    /// <summary>A write that one standby has confirmed.</summary>
    private async Task WriteAsync(string text)
    {
        Assert.Equal("OK", await lab.AskAsync("set", "kept", text));
        await lab.UntilAsync(answer => Offsets(answer) is var (written, confirmed) && confirmed >= written, "info", "replication");
    }

    private static (long Written, long Confirmed) Offsets(string replication)
    {
        long Number(string key) => replication.Split(key) is [_, var rest, ..] && long.TryParse(new string([.. rest.TakeWhile(char.IsAsciiDigit)]), out var number) ? number : -1;
        return (Number("master_repl_offset:"), Number("offset="));
    }
}

using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>Where the file would rather wait than lose: with <c>strict</c> writers do, with <c>max_lag</c> a takeover does.</summary>
[Trait("needs", "root")]
public sealed class StrictDatabaseTests(StrictDatabaseLab lab, ITestOutputHelper output) : IClassFixture<StrictDatabaseLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task BothStandbys_Stopped_NobodyIsToldThatAWriteIsThere_UntilOneIsBack()
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        foreach (var standby in lab.Cluster.Spec.Nodes.Keys.Where(node => node != primary))
            await DatabaseFault.Of("postgres stopped").HitAsync(lab, standby, Token);
        Finding? finding = null;
        for (var deadline = NamespaceLab.Deadline(); finding is null; finding = StatusFindings.Of((await lab.Cluster.StatusAsync(deadline))!).FirstOrDefault(found => found.Alert == "writes-on-one-node")) await Task.Delay(50, deadline);
        Assert.Contains("writes wait for a standby", finding.What, StringComparison.Ordinal);
        Assert.Equal("", await lab.AskAsync("CREATE TABLE while_alone (); SELECT 'acknowledged'", seconds: 4));
        Assert.Equal("read", await lab.AskAsync("SELECT 'read'"));
        Assert.Equal(primary, await lab.PrimaryAsync());
        var verdict = await run.EndAsync("both standbys stopped, strict", output);
        Safety.NothingIsLost(verdict);
        // Were it not strict, writers would wait for a second or so.
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(120));
    }
}

[Trait("needs", "root")]
public sealed class LimitedDatabaseTests(LimitedDatabaseLab lab) : IClassFixture<LimitedDatabaseLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task PrimaryLost_WhileBothStandbysLackMoreThanTheLimit_NobodyTakesOver_AndItComesBackWithEverything()
    {
        await lab.RestoreAsync();
        var primary = (await lab.PrimaryAsync())!.Value;
        Assert.Equal("made", await lab.AskAsync("CREATE TABLE IF NOT EXISTS much (line text); SELECT 'made'"));
        await lab.RestoreAsync();
        var receivers = new List<int>();
        foreach (var node in lab.Cluster.Spec.Nodes.Keys.Where(node => node != primary))
            receivers.Add(await RunningPrograms.OneInAsync(lab.Cluster.Network.Namespace(node.Value), words => words[0].StartsWith("postgres: ", StringComparison.Ordinal) && words[0].Contains("walreceiver", StringComparison.Ordinal), "WAL receiver"));
        try
        {
            foreach (var receiver in receivers) Signals.Send(receiver, Signals.Stop);
            Assert.Equal("written", await lab.AskAsync("INSERT INTO much SELECT repeat(md5(i::text), 8) FROM generate_series(1, 20000) i; SELECT 'written'"));
            for (var deadline = NamespaceLab.Deadline(); (await lab.ServiceAsync()).Instances.Count(instance => instance is { Active: false, LagBytes: > 1 << 20 }) < 2;) await Task.Delay(50, deadline);
            lab.Cluster.Kill(primary);
            // A takeover takes a second or two.
            for (var until = DateTime.UtcNow.AddSeconds(6); DateTime.UtcNow < until; await Task.Delay(100, Token))
                Assert.DoesNotContain((await lab.Cluster.StatusAsync(Token))?.Services.Single().Instances ?? [], instance => instance.Active && instance.Node != primary);
            lab.Cluster.BringBack(primary);
            // Nobody else has them all before the receivers go on.
            for (var deadline = NamespaceLab.Deadline(); await lab.AskAsync("SELECT count(*) FROM much") != "20000";) await Task.Delay(50, deadline);
            Assert.Equal(primary, await lab.PrimaryAsync());
        }
        finally
        {
            foreach (var receiver in receivers) Signals.Send(receiver, Signals.Continue);
        }

        await lab.RestoreAsync();
    }
}

using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>What operators and others' load balancers do with a running database, and what becomes of it without a coordination store.</summary>
[Trait("needs", "root")]
[Collection(HotDatabaseCollection.Name)]
[Trait("Turn", "1")]
public sealed class OperatorTests(HotDatabaseLab lab, ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Roles_AskedByOthersBalancers_OneNodeIsThePrimaryAndTheRestFollow()
    {
        await lab.RestoreAsync();
        var primary = (await lab.PrimaryAsync())!.Value;
        foreach (var node in lab.Cluster.Spec.Nodes.Keys)
        {
            Assert.Equal(node == primary ? 200 : 503, await lab.RoleAsync(node, "primary"));
            Assert.Equal(node == primary ? 503 : 200, await lab.RoleAsync(node, "standby?lag=64MiB"));
            Assert.Equal(200, await lab.RoleAsync(node, "healthy"));
        }

        Assert.Equal(404, await lab.RoleAsync(primary, "emperor"));
        Assert.Equal(400, await lab.RoleAsync(primary, "standby?lag=much"));
    }

    /// <summary>The former primary is cut off from its peers; those who ask still reach it, and must not be sent there.</summary>
    [Fact]
    public async Task Roles_PrimaryCutOff_AreNeverTwo()
    {
        await lab.RestoreAsync();
        var primary = (await lab.PrimaryAsync())!.Value;
        await DatabaseFault.Of("silent cut").HitAsync(lab, primary, Token);
        NodeName? next = null;
        for (var deadline = NamespaceLab.Deadline(); next is null; await Task.Delay(20, deadline))
            foreach (var node in lab.Cluster.Spec.Nodes.Keys.Where(node => node != primary))
                if (await lab.RoleAsync(node, "primary") == 200) next = node;
        // Asked after the new one had said yes.
        Assert.NotEqual(200, await lab.RoleAsync(primary, "primary"));
        await lab.RestoreAsync();
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task Restart_OfWhatIsPending_TakesOneAfterTheOtherAndLosesNothing()
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        // In effect as soon as it is applied.
        var applied = await lab.CommandAsync("apply", await lab.FileWithAsync("work_mem: 7MB"), "--yes");
        Assert.True(applied.Code == 0, applied.Output);
        await UntilAsync(async () => (await AskAsync("SHOW work_mem")) == "7MB");
        Assert.DoesNotContain((await lab.ServiceAsync()).Instances, instance => instance.RestartPending);
        applied = await lab.CommandAsync("apply", await lab.FileWithAsync("max_connections: 137"), "--yes");
        Assert.True(applied.Code == 0, applied.Output);
        await UntilAsync(async () => (await lab.ServiceAsync()).Instances.Count(instance => instance.RestartPending && instance.Detail.Contains("max_connections", StringComparison.Ordinal)) == 3);
        Assert.Contains("restart is pending for max_connections", (await lab.CommandAsync("status")).Output, StringComparison.Ordinal);
        var restarted = await lab.CommandAsync("restart", "db", "--pending");
        Assert.True(restarted.Code == 0, restarted.Output);
        output.WriteLine(restarted.Output);
        Assert.Equal("137", await AskAsync("SHOW max_connections"));
        await UntilAsync(async () => (await lab.ServiceAsync()).Instances.All(instance => !instance.RestartPending));
        Assert.Contains("no instance waits", (await lab.CommandAsync("restart", "db", "--pending")).Output, StringComparison.Ordinal);
        var verdict = await run.EndAsync("restart of all", output);
        Safety.NothingIsLost(verdict);
        Assert.InRange(verdict.LongestUnwritable, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task OnChange_ToldOfStartsAndRoles()
    {
        await lab.RestoreAsync();
        var primary = (await lab.PrimaryAsync())!.Value;
        var to = (await lab.ServiceAsync()).Data!.InSync.First(node => node != primary);
        await lab.SwitchOverAsync(primary, to);
        await lab.RestoreAsync();
        await UntilAsync(() => Task.FromResult(lab.ServiceLogOf(to).Contains("CHANGED on_role_change primary db", StringComparison.Ordinal)
            && lab.ServiceLogOf(primary).Contains("CHANGED on_stop primary db", StringComparison.Ordinal)));
        Assert.Contains("CHANGED on_start replica db", lab.ServiceLogOf(primary), StringComparison.Ordinal);
    }

    /// <summary>Owners renew at the voters, not at the store: writes go on. Who is lost meanwhile is replaced when the store is back.</summary>
    [Fact]
    public async Task Store_Down_WritesGoOnNobodyIsPromotedAndStatusSaysSo()
    {
        await using var run = await DatabaseRun.BeginAsync(lab);
        var primary = (await lab.PrimaryAsync())!.Value;
        var stores = await StoresAsync();
        Assert.Equal(3, stores.Count);
        foreach (var store in stores) Signals.Send(store, Signals.Stop);
        try
        {
            await UntilAsync(async () => (await lab.Cluster.StatusAsync(Token))?.Store is { HasQuorum: false });
            await Task.Delay(4000, Token);
            Assert.Equal(primary, await lab.PrimaryAsync());
            Assert.Contains("store", (await lab.CommandAsync("status")).Output, StringComparison.OrdinalIgnoreCase);
            lab.Cluster.Kill(primary);
            for (var until = DateTime.UtcNow + TimeSpan.FromSeconds(3); DateTime.UtcNow < until; await Task.Delay(100, Token))
                Assert.DoesNotContain((await lab.Cluster.StatusAsync(Token))?.Services.Single().Instances ?? [], instance => instance is { Active: true } && instance.Node != primary);
        }
        finally
        {
            foreach (var store in stores) Signals.Send(store, Signals.Continue);
        }

        Assert.NotEqual(primary, await lab.NextPrimaryAsync(primary));
        Safety.NothingIsLost(await run.EndAsync("store down", output));
    }

    private async Task<IReadOnlyList<int>> StoresAsync()
    {
        List<int> found = [];
        foreach (var node in lab.Cluster.Nodes.Keys)
            found.AddRange((await RunningPrograms.InAsync(lab.Cluster.Network.Namespace(node.Value))).Where(one => Path.GetFileName(one.Words[0]) == "etcd").Select(one => one.Id));
        return found;
    }

    private async Task<string> AskAsync(string question)
    {
        try
        {
            return (await SystemCommand.RunAsync(["ip", "netns", "exec", lab.Cluster.Network.Namespace("client"), "psql", $"host={DatabaseLab.Vip} user=postgres dbname=postgres connect_timeout=2", "-Atc", question], NamespaceLab.Deadline())).Trim();
        }
        catch (LocalClusterException)
        {
            return ""; // On its way to another node just now.
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        for (var deadline = NamespaceLab.Deadline(); !await condition(); await Task.Delay(100, deadline)) { }
    }
}

using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>
/// What clients of a hot PostgreSQL lose and wait for when things fail: nothing that was acknowledged, and a few seconds. The
/// account of what was acknowledged is the clients' own.
/// </summary>
[Trait("needs", "root")]
public sealed class DatabaseFaultTests(DatabaseLab lab, ITestOutputHelper output) : IClassFixture<DatabaseLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string> PrimaryLosses => ["power", "silent cut", "postgres killed", "agent and guard killed", "agent and guard stopped"];

    [Theory, MemberData(nameof(PrimaryLosses))]
    public async Task Primary_Lost_AStandbyTakesOverAndNoAcknowledgedWriteIsLost(string fault)
    {
        await lab.RestoreAsync();
        var primary = (await lab.PrimaryAsync())!.Value;
        using var clients = await lab.WriteAsync();
        await Task.Delay(500, Token);
        await HitAsync(primary, fault);
        var next = await lab.NextPrimaryAsync(primary);
        await Task.Delay(1000, Token);
        await lab.RestoreAsync();
        var verdict = await clients.EndAsync(DatabaseLab.Deadline());
        output.WriteLine($"{fault}: {primary} -> {next}; {verdict.Acknowledged} acknowledged, {verdict.Refused} refused, {verdict.Unknown} unknown ({verdict.UnknownPresent} there), longest outage {verdict.LongestOutage.TotalMilliseconds:0} ms");
        Assert.Empty(verdict.Lost);
        Assert.InRange(verdict.LongestOutage, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Switchover_LosesNothing()
    {
        await lab.RestoreAsync();
        var primary = (await lab.PrimaryAsync())!.Value;
        var to = (await lab.ServiceAsync()).Data!.InSync.First(node => node != primary);
        using var clients = await lab.WriteAsync();
        await Task.Delay(500, Token);
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("db"), to, Token));
        Assert.Equal(to, await lab.NextPrimaryAsync(primary));
        await Task.Delay(1000, Token);
        await lab.RestoreAsync();
        var verdict = await clients.EndAsync(DatabaseLab.Deadline());
        output.WriteLine($"switchover: {verdict.Acknowledged} acknowledged, {verdict.Refused} refused, {verdict.Unknown} unknown, longest outage {verdict.LongestOutage.TotalMilliseconds:0} ms");
        Assert.Empty(verdict.Lost);
        Assert.InRange(verdict.LongestOutage, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Standby_Lost_WritesGoOnAndItComesBackInSync()
    {
        await lab.RestoreAsync();
        var primary = (await lab.PrimaryAsync())!.Value;
        var standby = (await lab.ServiceAsync()).Data!.InSync.First(node => node != primary);
        using var clients = await lab.WriteAsync();
        await Task.Delay(500, Token);
        lab.Cluster.Kill(standby);
        await Task.Delay(3000, Token);
        await lab.RestoreAsync();
        Assert.Equal(primary, await lab.PrimaryAsync());
        var verdict = await clients.EndAsync(DatabaseLab.Deadline());
        output.WriteLine($"standby: {verdict.Acknowledged} acknowledged, {verdict.Refused} refused, {verdict.Unknown} unknown, longest outage {verdict.LongestOutage.TotalMilliseconds:0} ms");
        Assert.Empty(verdict.Lost);
        Assert.InRange(verdict.LongestOutage, TimeSpan.Zero, TimeSpan.FromSeconds(3));
    }

    private async Task HitAsync(NodeName node, string fault)
    {
        switch (fault)
        {
            case "power": lab.Cluster.Kill(node); break;
            // Its clients still reach it, its standbys and voters do not.
            case "silent cut": await lab.Cluster.Network.SilentCutAsync(node, LabLink.Private, oneWay: false, deaf: false, Token); break;
            case "postgres killed": Signals.Send(await PostmasterAsync(node), Signals.Kill); break;
            case "agent and guard killed": lab.Cluster.Nodes[node].SignalAll(Signals.Kill); break;
            // Its server runs on, with nobody to end it when its lease is over.
            case "agent and guard stopped":
                foreach (var process in lab.Cluster.Nodes[node].GuardIds().Append(lab.Cluster.Nodes[node].AgentId!.Value)) Signals.Send(process, Signals.Stop);
                break;
            default: throw new ArgumentOutOfRangeException(nameof(fault), fault, "no such fault");
        }
    }

    private async Task<int> PostmasterAsync(NodeName node)
    {
        foreach (var id in await LabNetwork.ProcessesIn(lab.Cluster.Network.Namespace(node.Value)))
        {
            var words = (await File.ReadAllTextAsync($"/proc/{id}/cmdline", Token)).Split('\0');
            if (words[0].EndsWith("/postgres", StringComparison.Ordinal) && words.Contains("-D")) return id;
        }

        throw new InvalidOperationException($"no postmaster runs on {node}");
    }
}

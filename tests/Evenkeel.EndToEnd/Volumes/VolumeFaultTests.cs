using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Volumes;

/// <summary>
/// What clients of a service on a volume lose and wait for when things fail: nothing that was answered after an fsync. The account
/// is the clients' own.
/// </summary>
[Trait("needs", "root")]
public sealed class VolumeFaultTests(VolumeLab lab, ITestOutputHelper output) : IClassFixture<VolumeLab>
{
    /// <summary>Of either process: its managed heap is limited to 192 MiB, and the runtime takes the rest.</summary>
    private const long MemoryCeiling = 320;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public Task WritersNode_Killed_TheOtherLegTakesOverAndNothingAnsweredIsLost() => PlayAsync("power", async node =>
    {
        lab.Cluster.Kill(node);
        await lab.NextServingAsync(node);
    });

    [Fact]
    public Task WritersNode_CutOffSilently_StopsByItselfAndNothingAnsweredIsLost() => PlayAsync("silent cut", async node =>
    {
        await lab.Cluster.Network.SilentCutAsync(node, LabLink.Private, oneWay: false, deaf: false, Token);
        await lab.NextServingAsync(node);
        // Alone it must not write: its guard has ended the writer.
        Assert.Empty(await lab.ProcessesAsync(node, "write"));
    });

    [Fact]
    public Task WritersNode_Stopped_IsOverWhenItGoesOn() => PlayAsync("everything stopped", async node =>
    {
        foreach (var process in await LabNetwork.ProcessesIn(lab.Cluster.Network.Namespace(node.Value))) Signals.Send(process, Signals.Stop);
        await lab.NextServingAsync(node);
        await Task.Delay(1000, Token);
        foreach (var process in await LabNetwork.ProcessesIn(lab.Cluster.Network.Namespace(node.Value))) Signals.Send(process, Signals.Continue);
    });

    [Fact, Trait("Turn", "3")]
    public Task Writer_KilledAlone_TheServiceGoesOn() => PlayAsync("writer killed", async node =>
    {
        foreach (var process in await lab.ProcessesAsync(node, "write")) Signals.Send(process, Signals.Kill);
        await Task.Delay(500, Token);
        for (var deadline = NamespaceLab.Deadline(); await lab.ServingAsync() is null;) await Task.Delay(50, deadline);
    });

    [Fact, Trait("Turn", "3")]
    public Task Service_Moved_ItsVolumeGoesWithIt() => PlayAsync("move", async node =>
    {
        var to = new NodeName(node.Value == "n1" ? "n2" : "n1");
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("ledger"), to, Token));
        Assert.Equal(to, await lab.NextServingAsync(node));
        Assert.Equal(to, await lab.WriterAsync());
    });

    [Trait("Stage", "long")]
    [Fact]
    public Task Service_Moved_WhileSomebodyStandsInTheMount_GoesAllTheSame() => PlayAsync("move, the mount in use", async node =>
    {
        using var holder = await lab.StandInMountAsync(node);
        try
        {
            await Task.Delay(300, Token);
            Assert.False(holder.HasExited);
            Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("ledger"), new NodeName(node.Value == "n1" ? "n2" : "n1"), Token));
            await lab.NextServingAsync(node);
        }
        finally
        {
            holder.Kill();
        }
    });

    [Theory, Trait("Turn", "2"), InlineData("power"), InlineData("leg killed"), InlineData("silent cut"), InlineData("leg stopped")]
    public Task OtherLeg_Lost_WritesWaitForABoundedTimeAndItGetsWhatItMissed(string fault) => lab.PlayAsync(async () =>
    {
        var writer = (await lab.WriterAsync())!.Value;
        var other = new NodeName(writer.Value == "n1" ? "n2" : "n1");
        using var clients = await lab.WriteAsync();
        await Task.Delay(500, Token);
        switch (fault)
        {
            case "power": lab.Cluster.Kill(other); break;
            case "silent cut": await lab.Cluster.Network.SilentCutAsync(other, LabLink.Private, oneWay: false, deaf: false, Token); break;
            case "leg killed": Signals.Send((await lab.ProcessesAsync(other, "serve-leg")).Single(), Signals.Kill); break;
            case "leg stopped": Signals.Send((await lab.ProcessesAsync(other, "serve-leg")).Single(), Signals.Stop); break;
        }

        if (fault != "leg killed") await lab.UntilAsync(volume => volume.Legs.Single(leg => leg.Node == other).State != LegState.InSync);
        await Task.Delay(2000, Token);
        var writerMemory = VolumeLab.PeakOf((await lab.ProcessesAsync(writer, "write")).Single());
        await lab.RestoreAsync();
        var account = await clients.EndAsync(NamespaceLab.Deadline());
        Say($"other leg, {fault}", account);
        output.WriteLine($"the writer held at most {writerMemory} MiB");
        Safety.NothingIsLost(account.Lost);
        Assert.Equal(writer, await lab.WriterAsync());
        // A leg that hangs is found by the time limit of its requests; then a detection's patience and a write to the store.
        Assert.InRange(account.Longest, TimeSpan.Zero, VolumeLab.LegTimeout + TimeSpan.FromSeconds(2));
        Assert.InRange(writerMemory, 1, MemoryCeiling);
    });

    /// <summary>The leg that was put out does not become the writer, whatever happens to the other: it lacks what was answered since.</summary>
    [Fact, Trait("Turn", "3")]
    public async Task StaleLeg_Alone_DoesNotTakeOverAndNothingAnsweredIsLost()
    {
        await lab.RestoreAsync();
        var writer = (await lab.WriterAsync())!.Value;
        var other = new NodeName(writer.Value == "n1" ? "n2" : "n1");
        using var clients = await lab.WriteAsync();
        lab.Cluster.Kill(other);
        await lab.UntilAsync(volume => volume.Legs.Single(leg => leg.Node == other).State != LegState.InSync);
        await Task.Delay(1000, Token);
        lab.Cluster.Kill(writer);
        lab.Cluster.BringBack(other);
        await Task.Delay(6000, Token);
        Assert.Null(await lab.ServingAsync());
        await lab.RestoreAsync();
        var account = await clients.EndAsync(NamespaceLab.Deadline());
        Say("both lost, the stale one back first", account);
        Safety.NothingIsLost(account.Lost);
    }

    private Task PlayAsync(string what, Func<NodeName, Task> hit) => lab.PlayAsync(async () =>
    {
        var node = (await lab.ServingAsync())!.Value;
        using var clients = await lab.WriteAsync();
        await Task.Delay(500, Token);
        await hit(node);
        await Task.Delay(1000, Token);
        await lab.RestoreAsync();
        var account = await clients.EndAsync(NamespaceLab.Deadline());
        Say(what, account);
        Safety.NothingIsLost(account.Lost);
        Assert.InRange(account.Longest, TimeSpan.Zero, TimeSpan.FromSeconds(20));
    });

    private void Say(string what, LedgerAccount account)
    {
        output.WriteLine($"{what}: {account.Answered} answered, {account.Lost.Count} lost, longest outage {account.LongestSeconds * 1000:0} ms");
        Assert.True(account.Answered > 50, $"only {account.Answered} lines were answered");
    }
}

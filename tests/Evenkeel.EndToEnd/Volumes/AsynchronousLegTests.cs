using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Volumes;

/// <summary>
/// A leg that is written after the answer: what its line costs who writes, and what is lost when nothing else is left. The account is the
/// clients' own.
/// </summary>
[Trait("needs", "root")]
[Trait("Turn", "1")]
public sealed class AsynchronousLegTests(AsynchronousLegLab lab, ITestOutputHelper output) : IClassFixture<AsynchronousLegLab>
{
    private static readonly NodeName main = AsynchronousLegLab.Main, behind = AsynchronousLegLab.Behind;
    private const int LostAtLeast = 100;
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory, InlineData("slow"), InlineData("cut")]
    public async Task Line_OfTheLeg_SlowOrCut_ClientsDoNotWaitForIt_AndItGetsWhatItLacks(string line)
    {
        await lab.BeginAsync();
        using var clients = await lab.WriteAsync();
        await Task.Delay(500, Token);
        if (line == "slow") await lab.SlowLineAsync(400);
        else await lab.CutLineAsync();
        await lab.UntilItLacksAsync();
        // More than the backlog holds.
        await lab.WriteBulkAsync(main, 24);
        await lab.UntilLegAsync(LegState.Stale, LegState.Syncing);
        await Task.Delay(3000, Token);
        var memory = VolumeLab.PeakOf((await lab.ProcessesAsync(main, "write")).Single());
        await lab.HealLineAsync();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        await lab.UntilLegAsync(LegState.Following);
        var caughtUp = clock.Elapsed;
        var account = await clients.EndAsync(NamespaceLab.Deadline());
        output.WriteLine($"{line} line: {account.Answered} answered, {account.Lost.Count} lost, longest wait {account.LongestSeconds * 1000:0} ms; caught up in {caughtUp.TotalSeconds:0.0} s; the writer held at most {memory} MiB");
        Safety.NothingIsLost(account.Lost);
        Assert.True(account.Answered > 50, $"only {account.Answered} lines were answered");
        // A bulk of writes at the same time, and one store write when the leg is named no more.
        Assert.InRange(account.Longest, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.InRange(memory, 1, 320 + (AsynchronousLegLab.Backlog >> 20));
        await SameContentAsync();
    }

    [Fact]
    public async Task WritersNode_Lost_TheLegThatFollowsGoesOnWithAPastStateOfEverything()
    {
        await lab.BeginAsync();
        using var clients = await lab.WriteAsync();
        await Task.Delay(1000, Token);
        await lab.CutLineAsync();
        // So many answers are lost, but fewer than its backlog holds.
        await clients.UntilAnsweredAsync(LostAtLeast, NamespaceLab.Deadline());
        lab.Cluster.Kill(main);
        Assert.Equal(behind, await lab.NextServingAsync(main));
        await Task.Delay(1000, Token);
        // The first leg comes back with what was given up, and gets everything.
        await lab.RestoreAsync();
        var account = await clients.EndAsync(NamespaceLab.Deadline());
        output.WriteLine($"writer lost: {account.Answered} answered, {account.Lost.Count} lost, longest outage {account.LongestSeconds * 1000:0} ms");
        Assert.True(account.Answered > 50, $"only {account.Answered} lines were answered");
        Assert.InRange(account.Lost.Count, LostAtLeast, int.MaxValue);
        // Of each client the last ones before the loss, and none between others that are there.
        foreach (var client in account.Lost.Select(line => line.Split(':')).GroupBy(parts => parts[0], parts => int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture)))
        {
            var lost = client.Order().ToList();
            Assert.True(lost[^1] - lost[0] == lost.Count - 1, $"client {client.Key} lost {string.Join(", ", lost)}: no past state of the service's file");
        }

        Assert.Equal(behind, await lab.WriterAsync());
        await SameContentAsync();
    }

    [Fact]
    public async Task WritersNode_LostWhileTheLegIsBehind_NobodyGoesOnAndNothingIsLost()
    {
        await lab.BeginAsync();
        using var clients = await lab.WriteAsync();
        await Task.Delay(500, Token);
        await lab.CutLineAsync();
        await lab.WriteBulkAsync(main, 24);
        await lab.UntilLegAsync(LegState.Stale, LegState.Syncing);
        await Task.Delay(500, Token);
        lab.Cluster.Kill(main);
        await Task.Delay(6000, Token);
        Assert.Null(await lab.ServingAsync());
        await lab.RestoreAsync();
        var account = await clients.EndAsync(NamespaceLab.Deadline());
        output.WriteLine($"writer lost, leg behind: {account.Answered} answered, {account.Lost.Count} lost, longest outage {account.LongestSeconds * 1000:0} ms");
        Safety.NothingIsLost(account.Lost);
    }

    // The file system writes now and then by itself: they are the same at some moment.
    private async Task SameContentAsync()
    {
        for (var until = DateTime.UtcNow.AddSeconds(60); ; await Task.Delay(500, Token))
        {
            if (await lab.AreEqualAsync(main, behind)) return;
            Assert.True(DateTime.UtcNow < until, "the legs do not become equal");
        }
    }
}

using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Wall clocks that are hours apart: nothing is decided by them, and somebody says so.</summary>
public sealed class ClockTests
{
    [Fact]
    public async Task ClockOfANode_FiveHoursAhead_ServesAndStatusSaysWhoAndHowToMendIt()
    {
        var directory = Path.Combine(Checkout.Root, "examples", "web");
        var text = (await File.ReadAllTextAsync(Path.Combine(directory, "cluster.yaml"), TestContext.Current.CancellationToken)).Replace("cluster: demo", "cluster: clocks", StringComparison.Ordinal);
        await using var cluster = new LabCluster(ClusterFile.Parse(text).Spec!, text, directory)
        {
            ProgramFile = Checkout.Program,
            // The wall clock alone: a process cannot lie to itself about CLOCK_BOOTTIME, nor would a wrong date.
            WrapperOf = node => node.Value == "n3" ? ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", "+5h"] : [],
        };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        await cluster.StartAsync(limit.Token);
        await cluster.WaitUntilWholeAsync(limit.Token);
        string found;
        do found = await SystemCommand.RunAsync([Checkout.Program, "status", "--cluster", "clocks"], limit.Token);
        while (!found.Contains("its clock", StringComparison.Ordinal));
        Assert.Matches(@"its clock is 5 h (ahead of|behind) n\d", found);
        Assert.Contains("NTP", found, StringComparison.Ordinal);
    }
}

using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Wall clocks that are hours apart: nothing is decided by them, and somebody says so.</summary>
public sealed class ClockTests
{
    [Trait("Stage", "long")]
    [Fact]
    public async Task ClockOfANode_FiveHoursAhead_ServesAndStatusSaysWhoAndHowToMendIt()
    {
        var directory = Path.Combine(Checkout.Root, "examples", "web");
        var text = (await File.ReadAllTextAsync(Path.Combine(directory, "cluster.yaml"), TestContext.Current.CancellationToken)).Replace("cluster: demo", "cluster: clocks", StringComparison.Ordinal);
        await using var cluster = new LabCluster(ClusterFile.Parse(text).Spec!, text, directory)
        {
            ProgramFile = Checkout.Program,
            // The wall clock alone: a process cannot lie to itself about CLOCK_BOOTTIME, nor would a wrong date.
            // Not by the command `faketime`: that stays as the agent's parent, and a stop would meet it alone.
            WrapperOf = node => node.Value == "n3" ? ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME=+5h", "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1"] : [],
        };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        await cluster.StartAsync(limit.Token);
        await cluster.WaitUntilWholeAsync(limit.Token);
        // It ends with 1 as long as there is something to do.
        string[] status = ["sh", "-c", "\"$0\" status --cluster clocks || test $? -eq 1", Checkout.Program];
        string found;
        do found = await SystemCommand.RunAsync(status, limit.Token);
        while (!found.Contains("the clock of", StringComparison.Ordinal));
        Assert.Matches(@"the clock of n\d is 5 h (ahead of|behind) that of n\d", found);
        Assert.Contains("NTP", found, StringComparison.Ordinal);
    }
}

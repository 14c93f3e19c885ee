using System.Globalization;
using Xunit;

namespace Evenkeel.EndToEnd.Guard;

/// <summary>A single-active service as the guard's child: it outlives its agent for a while, never its guard or its lease.</summary>
public sealed class GuardedServiceTests(ITestOutputHelper output)
{
    private static int StartJob(GuardTrio trio)
    {
        trio[1].Tell("acquire-job 1");
        trio[1].Await("held service/job 1.1");
        trio[1].Tell("launch-job 1 sleep 1000");
        var process = int.Parse(trio[1].Await("launched job ").Split(' ')[2], CultureInfo.InvariantCulture);
        Assert.True(IsRunning(process), trio.Logs());
        return process;
    }

    private static bool IsRunning(int process) =>
        File.Exists($"/proc/{process}/stat") && File.ReadAllText($"/proc/{process}/stat").Split(") ")[1][0] is not ('Z' or 'X');

    [Fact]
    public void Service_WhoseAgentRestarts_RunsOnAndIsAdopted()
    {
        using var trio = new GuardTrio(11);
        var process = StartJob(trio);
        trio[1].RestartAgent();
        var hello = trio[1].AwaitHello();
        Assert.Contains("held service/job@1.1", hello, StringComparison.Ordinal);
        Assert.Contains($"running job:{process}", hello, StringComparison.Ordinal);
        trio[1].Tell("acquire-job 1");
        trio[1].Await("held service/job 1.1");
        // Beyond the time after which an abandoned service is stopped.
        Thread.Sleep(6000);
        Assert.True(IsRunning(process));
    }

    [Fact]
    public void Service_WhoseAgentStaysAway_IsStoppedBeforeTheNextOwnerStarts()
    {
        using var trio = new GuardTrio(12);
        var process = StartJob(trio);
        trio[1].KillAgent();
        // The old owner's guard still renews, so nothing is handed over until it has given up and killed the service.
        Thread.Sleep(6500);
        trio[2].Tell("acquire-job 2");
        trio[2].Await("held service/job 1.2");
        Assert.False(IsRunning(process));
        output.WriteLine(trio.Logs());
    }

    [Fact]
    public void Service_WhenANewOwnerIsCommitted_IsStoppedBeforeThatOneHoldsIt()
    {
        using var trio = new GuardTrio(13);
        var process = StartJob(trio);
        trio[2].Tell("acquire-job 2");
        trio[2].Await("held service/job 1.2");
        Assert.False(IsRunning(process));
        trio[1].Await("ended service/job 1.1");
    }

    [Fact]
    public void Service_WhoseGuardIsKilled_DiesWithIt()
    {
        using var trio = new GuardTrio(14);
        var process = StartJob(trio);
        GuardedNode.Signal(trio[1].GuardProcess, "KILL");
        trio[2].Tell("acquire-job 2");
        trio[2].Await("held service/job 1.2");
        Assert.False(IsRunning(process));
    }

    [Fact]
    public void Shutdown_StopsTheServiceAndEndsTheGuard()
    {
        using var trio = new GuardTrio(15);
        var process = StartJob(trio);
        trio[1].Tell("shutdown");
        trio[1].Await("broken");
        Assert.False(IsRunning(process));
    }
}

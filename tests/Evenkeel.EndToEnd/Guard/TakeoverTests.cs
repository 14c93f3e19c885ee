using Xunit;

namespace Evenkeel.EndToEnd.Guard;

/// <summary>
/// Real guards and agents on loopback: whatever is stopped or killed, the next owner gets the front door, and only after the
/// former one has surely let go. A front door is a listening socket, so two owners would be a conflict that the kernel reports.
/// </summary>
public sealed class TakeoverTests(ITestOutputHelper output)
{
    [Fact]
    public void Lease_OfAHealthyOwner_IsRenewedOnAndOn()
    {
        using var trio = new GuardTrio(1);
        trio.AcquireOn(1, epoch: 1);
        // Several lease lengths.
        for (var i = 0; i < 30; i++)
        {
            Assert.Equal("n1", trio.AskFrontDoor());
            Thread.Sleep(100);
        }
        Assert.DoesNotContain(trio[1].Drain(), line => line.StartsWith("ended", StringComparison.Ordinal));
    }

    [Fact]
    public void Release_ByTheOwner_LetsTheNextOneInWithoutWaiting()
    {
        using var trio = new GuardTrio(2);
        trio.AcquireOn(1, epoch: 1);
        trio[1].Tell("release 1");
        trio[1].Await("ended vip/front 1.1 released");
        output.WriteLine($"switchover: {trio.TimeTakeover(2, epoch: 2).TotalMilliseconds:F0} ms");
        Assert.Equal("n2", trio.AskFrontDoor());
        Assert.Empty(trio.Conflicts());
    }

    [Fact]
    public void Agent_OfTheOwnerStopped_IsKilledByItsGuardBeforeTheNextOneOpens()
    {
        using var trio = new GuardTrio(3);
        trio.AcquireOn(1, epoch: 1);
        GuardedNode.Signal(trio[1].AgentProcess, "STOP");
        output.WriteLine($"agent stopped: {trio.TimeTakeover(2, epoch: 2).TotalMilliseconds:F0} ms");
        trio[1].AwaitAgentExit();
        Assert.Equal("n2", trio.AskFrontDoor());
        Assert.Empty(trio.Conflicts());
    }

    [Fact]
    public void AgentAndGuard_OfTheOwnerStopped_TheKernelEndsTheAgent()
    {
        using var trio = new GuardTrio(4);
        trio.AcquireOn(1, epoch: 1);
        GuardedNode.Signal(trio[1].GuardProcess, "STOP");
        GuardedNode.Signal(trio[1].AgentProcess, "STOP");
        output.WriteLine($"agent and guard stopped: {trio.TimeTakeover(2, epoch: 2).TotalMilliseconds:F0} ms");
        trio[1].AwaitAgentExit();
        Assert.Equal("n2", trio.AskFrontDoor());
        Assert.Empty(trio.Conflicts());
    }

    [Fact]
    public void Guard_OfTheOwnerKilled_TheNextOneWaitsOutItsLease()
    {
        using var trio = new GuardTrio(5);
        trio.AcquireOn(1, epoch: 1);
        GuardedNode.Signal(trio[1].GuardProcess, "KILL");
        output.WriteLine($"guard killed: {trio.TimeTakeover(2, epoch: 2).TotalMilliseconds:F0} ms");
        Assert.Equal("n2", trio.AskFrontDoor());
        Assert.Empty(trio.Conflicts());
    }

    [Fact]
    public void Agent_OfTheOwnerKilled_ItsGuardGivesTheLeaseBack()
    {
        using var trio = new GuardTrio(6);
        trio.AcquireOn(1, epoch: 1);
        GuardedNode.Signal(trio[1].AgentProcess, "KILL");
        output.WriteLine($"agent killed: {trio.TimeTakeover(2, epoch: 2).TotalMilliseconds:F0} ms");
        Assert.Equal("n2", trio.AskFrontDoor());
        Assert.Empty(trio.Conflicts());
    }

    [Fact]
    public void Owner_WithoutAMajority_LetsGo()
    {
        using var trio = new GuardTrio(7);
        trio.AcquireOn(1, epoch: 1);
        GuardedNode.Signal(trio[2].GuardProcess, "KILL");
        // Two of three still vote.
        Thread.Sleep(2000);
        Assert.Equal("n1", trio.AskFrontDoor());
        GuardedNode.Signal(trio[3].GuardProcess, "STOP");
        trio[1].Await("ended vip/front 1.1 no majority");
        Assert.Null(trio.AskFrontDoor());
        Assert.False(trio[1].AgentHasExited);
    }
}

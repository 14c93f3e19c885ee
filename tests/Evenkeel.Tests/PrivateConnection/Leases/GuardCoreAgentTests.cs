using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Xunit;
using static Evenkeel.Tests.PrivateConnection.Leases.GuardBench;

namespace Evenkeel.Tests.PrivateConnection.Leases;

/// <summary>What an agent's silence, death and return mean.</summary>
public sealed class GuardCoreAgentTests
{
    private static readonly VipEnforcement Door = new("203.0.113.10", 24, "eth0");
    private static readonly ListenerEnforcement Listener = new("127.0.0.9", [8080]);
    private static readonly CgroupEnforcement Group = new("db");

    [Fact]
    public void Loop_Silent_GivesUpVipsThenServices()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        bench.Hold(Service, 1, Group);
        bench.Live(270, agent: false);
        Assert.Equal(LeasePhase.Held, bench.PhaseOf(Vip));
        bench.Live(60, agent: false);
        Assert.Equal(LeasePhase.Ended, bench.PhaseOf(Vip));
        bench.Live(4500, agent: false);
        Assert.Equal(LeasePhase.Held, bench.PhaseOf(Service));
        bench.Live(300, agent: false);
        Assert.Equal(LeasePhase.Ended, bench.PhaseOf(Service));
    }

    [Fact]
    public void Pipe_Broken_GivesUpVipsAtOnceAndKeepsServicesForASuccessor()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        bench.Hold(Service, 1, Group);
        bench.Step(new AgentDisconnected());
        Assert.Contains(bench.Effects, effect => effect is CloseDoor { Door: VipEnforcement });
        bench.Live(1500, agent: false);
        bench.Effects.Clear();
        bench.Step(new AgentConnected(4712));
        Assert.Equal(new HeldLease(Service, new(1, 1)), Assert.Single(bench.Told<GuardHello>().Single().Held));
        bench.Tell(new Acquire(Service, new(1, 1), [Group]));
        Assert.Equal(LeasePhase.Held, bench.PhaseOf(Service));
        bench.Live(6000);
        Assert.DoesNotContain(bench.Effects, effect => effect is CloseDoor);
    }

    [Fact]
    public void Lease_ThatNoSuccessorAdopts_Ends()
    {
        var bench = new GuardBench();
        bench.Hold(Service, 1, Group);
        bench.Step(new AgentDisconnected());
        bench.Live(600, agent: false);
        bench.Step(new AgentConnected(4712));
        bench.Live(5000);
        Assert.Equal("no agent adopted it", bench.Told<LeaseChanged>().Last().Reason);
    }

    [Fact]
    public void Listener_NotConfirmedClosed_CostsTheAgentItsLifeBeforeTheDeadline()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Listener);
        var deadline = bench.Told<ListenerLease>().Last().Until;
        bench.Pass(110);
        Assert.Single(bench.Told<CloseListener>());
        Assert.DoesNotContain(bench.Effects, effect => effect is KillAgent);
        bench.Pass(24);
        Assert.Equal(AgentProcess, bench.Effects.OfType<KillAgent>().First().ProcessId);
        Assert.True(bench.Now.BootNanoseconds - deadline.BootNanoseconds < 1_000_000);
        Assert.Empty(bench.ReleasesTo(N2));
        bench.Step(new AgentExited(AgentProcess));
        Assert.NotEmpty(bench.ReleasesTo(N2));
    }

    [Fact]
    public void Listener_ConfirmedClosed_EndsTheLeaseWithoutHarm()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Listener);
        bench.Pass(110);
        bench.Tell(new ListenerClosed(Vip, new(1, 1)));
        Assert.Equal(LeasePhase.Ended, bench.PhaseOf(Vip));
        bench.Pass(200);
        Assert.DoesNotContain(bench.Effects, effect => effect is KillAgent);
    }

    [Fact]
    public void Listener_OfAnAgentWhosePipeBroke_IsEndedWithItsProcess()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Listener);
        bench.Step(new AgentDisconnected());
        bench.Pass(1);
        Assert.Equal(AgentProcess, bench.Effects.OfType<KillAgent>().First().ProcessId);
        Assert.Empty(bench.ReleasesTo(N2));
        bench.Step(new AgentExited(AgentProcess));
        Assert.NotEmpty(bench.ReleasesTo(N2));
    }

    [Fact]
    public void ListenerLease_IsExtendedWithEveryRenewal()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Listener);
        bench.Live(300);
        var ends = bench.Told<ListenerLease>().Select(lease => lease.Until.BootNanoseconds).ToList();
        Assert.True(ends.Count > 8);
        Assert.Equal(ends.Order(), ends);
    }

    [Fact]
    public void Launch_UnderALease_StartsOnlyWhileItIsHeld()
    {
        var bench = new GuardBench();
        var request = new LaunchRequest { Instance = "db", Lease = new(Service, new(1, 1)), Command = ["db"], LogFile = "/dev/null" };
        bench.Tell(new Launch(request));
        Assert.Equal(0, bench.Told<Launched>().Single().ProcessId);
        bench.Hold(Service, 1, Group);
        bench.Tell(new Launch(request));
        Assert.Single(bench.Effects.OfType<LaunchInstance>());
    }

    [Fact]
    public void Lease_WithARunningInstance_IsGivenBackOnlyAfterItsExit()
    {
        var bench = new GuardBench();
        bench.Hold(Service, 1, Group);
        var request = new LaunchRequest { Instance = "db", Lease = new(Service, new(1, 1)), Command = ["db"], LogFile = "/dev/null" };
        bench.Tell(new Launch(request));
        bench.Step(new LaunchResult(request, 99, null));
        bench.Tell(new Release(Service, new(1, 1)));
        Assert.Contains(bench.Effects, effect => effect is SignalInstance { Instance: "db", Number: 9, Tree: true });
        Assert.Empty(bench.ReleasesTo(N2));
        bench.Step(new InstanceExited("db", 99, 137));
        Assert.NotEmpty(bench.ReleasesTo(N2));
        Assert.Equal(137, bench.Told<Exited>().Single().ExitCode);
    }

    [Fact]
    public void Lease_WithProcessesThatSurviveTheirKill_IsNotGivenBack_AndAnotherAgentHearsOfThem()
    {
        var bench = new GuardBench();
        bench.Hold(Service, 1, Group);
        var request = new LaunchRequest { Instance = "db", Lease = new(Service, new(1, 1)), Command = ["db"], LogFile = "/dev/null" };
        bench.Tell(new Launch(request));
        bench.Step(new LaunchResult(request, 99, null));
        bench.Step(new InstanceExited("db", 99, 137, Left: true));
        bench.Tell(new Launch(request));
        Assert.Equal(0, bench.Told<Launched>().Last().ProcessId);
        bench.Step(new AgentConnected(7));
        Assert.Equal(2, bench.Told<Exited>().Count(exited => exited.Left));
        bench.Tell(new Release(Service, new(1, 1)));
        Assert.Empty(bench.ReleasesTo(N2));
        bench.Step(new InstanceExited("db", 99, 137));
        Assert.NotEmpty(bench.ReleasesTo(N2));
    }

    [Fact]
    public void Shutdown_ReleasesStopsAndExits()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        var request = new LaunchRequest { Instance = "web", Command = ["web"], LogFile = "/dev/null" };
        bench.Tell(new Launch(request));
        bench.Step(new LaunchResult(request, 99, null));
        bench.Tell(new Shutdown());
        Assert.NotEmpty(bench.ReleasesTo(N2));
        bench.Pass(100);
        Assert.DoesNotContain(bench.Effects, effect => effect is ExitGuard);
        bench.Step(new InstanceExited("web", 99, 137));
        Assert.Contains(bench.Effects, effect => effect is ExitGuard);
    }

    [Fact]
    public void Timings_ThatCannotWork_AreRefused()
    {
        var bench = new GuardBench();
        bench.Tell(GuardBench.Configuration with { Timings = new() { Beat = TimeSpan.FromMilliseconds(100), Lease = TimeSpan.FromMilliseconds(150) } });
        Assert.Contains("timings refused", bench.Told<GuardWarning>().Single().Text, StringComparison.Ordinal);
    }
}

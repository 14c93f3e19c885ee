using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Xunit;
using static Evenkeel.Tests.PrivateConnection.Leases.GuardBench;

namespace Evenkeel.Tests.PrivateConnection.Leases;

/// <summary>A guard as owner: promise, wait, own, end.</summary>
public sealed class GuardCoreOwningTests
{
    private static readonly VipEnforcement Door = new("203.0.113.10", 24, "eth0");

    [Fact]
    public void Acquire_WithAMajority_OpensTheDoorThenTellsTheAgent()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        var opened = bench.Effects.FindIndex(effect => effect is OpenDoor);
        var told = bench.Effects.FindIndex(effect => effect is ToAgent { Message: LeaseChanged { Phase: LeasePhase.Held } });
        Assert.True(opened >= 0 && told > opened);
        Assert.Equal(new HeldLease(Vip, new(1, 1)), Assert.Single(bench.Guard.HeldAt(bench.Now)));
    }

    [Fact]
    public void Acquire_WithoutAnAnswer_NeverOpens()
    {
        var bench = new GuardBench();
        bench.Tell(new Acquire(Vip, new(1, 1), [Door]));
        bench.Live(0);
        for (var i = 0; i < 20; i++) { bench.Pass(30); bench.Tell(new LoopBeat(i)); }
        Assert.DoesNotContain(bench.Effects, effect => effect is OpenDoor);
        Assert.True(bench.Sent<AskDatagram>(N2).Count() > 10, "it goes on asking");
    }

    [Fact]
    public void Acquire_WhileALowerGrantRuns_WaitsLongerThanTheVoterSaid()
    {
        var bench = new GuardBench();
        bench.Tell(new Acquire(Vip, new(1, 2), [Door]));
        bench.N2Answers(remaining: 100);
        bench.Pass(100.9);
        Assert.Equal(AskKind.Promise, bench.Sent<AskDatagram>(N2).Last().Asks[0].Kind);
        bench.Pass(0.2);
        Assert.Equal(AskKind.Grant, bench.Sent<AskDatagram>(N2).Last().Asks[0].Kind);
    }

    [Fact]
    public void Deadline_CountsFromBeforeAskingAndIsShortened()
    {
        var bench = new GuardBench();
        bench.Tell(new Acquire(Vip, new(1, 1), [Door]));
        bench.N2Answers();
        var asked = bench.Sent<AskDatagram>(N2).Last().AskedAt;
        bench.Pass(20);
        bench.N2Answers();
        // 150 ms less 1 % of drift, less a tenth for closing.
        var until = Assert.Single(bench.Effects.OfType<OpenDoor>()).Until;
        Assert.Equal(bench.Sent<AskDatagram>(N2).Last().AskedAt + TimeSpan.FromMilliseconds(150 * 0.99 - 15), until);
        Assert.True(asked.BootNanoseconds <= until.BootNanoseconds);
    }

    [Fact]
    public void Lease_WithoutRenewals_ClosesItsDoorBeforeTheDeadlineAndStaysEnded()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        var until = bench.Effects.OfType<OpenDoor>().Single().Until;
        bench.Pass(133);
        Assert.DoesNotContain(bench.Effects, effect => effect is CloseDoor);
        bench.Tell(new LoopBeat(1));
        bench.Pass(0.6);
        Assert.Contains(bench.Effects, effect => effect is CloseDoor);
        Assert.True(until.BootNanoseconds <= bench.Now.BootNanoseconds);
        bench.N2Answers();
        bench.Tell(new Acquire(Vip, new(1, 1), [Door]));
        Assert.Equal(LeasePhase.Ended, bench.PhaseOf(Vip));
        Assert.Single(bench.Effects.OfType<OpenDoor>());
    }

    [Fact]
    public void NextWake_WithAnOpenDoor_IsNoLaterThanItsEnd()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        var until = bench.Effects.OfType<OpenDoor>().Single().Until;
        Assert.True(bench.Guard.NextWake(bench.Now).BootNanoseconds <= until.BootNanoseconds);
    }

    [Fact]
    public void Renewal_ByAMajority_MovesTheKernelsDeadline()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        bench.Live(600);
        var moves = bench.Effects.OfType<RenewDoor>().Select(renew => renew.Until.BootNanoseconds).ToList();
        Assert.True(moves.Count >= 15);
        Assert.Equal(moves.Order(), moves);
        Assert.Equal(LeasePhase.Held, bench.PhaseOf(Vip));
    }

    [Fact]
    public void Renewal_CarriesAllResourcesInOneDatagramAPeerAndBeat()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        bench.Hold(Service, 1, new CgroupEnforcement("db"));
        bench.Effects.Clear();
        bench.Live(300);
        Assert.InRange(bench.Sent<AskDatagram>(N3).Count(), 9, 11);
        Assert.All(bench.Sent<AskDatagram>(N3), ask => Assert.Equal(2, ask.Asks.Count));
    }

    [Fact]
    public void Release_WaitsForTheDoorToBeClosed()
    {
        var bench = new GuardBench { StubbornDoors = true };
        bench.Hold(Vip, 1, Door);
        bench.Tell(new Release(Vip, new(1, 1)));
        bench.Pass(30);
        Assert.Empty(bench.ReleasesTo(N2));
        Assert.True(bench.Effects.OfType<CloseDoor>().Count() > 1, "it insists");
        bench.Step(new DoorResult(Vip, new(1, 1), Door, DoorMove.Closed, null));
        Assert.Equal(new HeldLease(Vip, new(1, 1)), bench.ReleasesTo(N2).First());
        Assert.Equal(LeasePhase.Ended, bench.PhaseOf(Vip));
    }

    [Fact]
    public void Refusal_ForAHigherEpoch_EndsTheLeaseAtOnce()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        bench.Step(new DatagramReceived(N3, new AnswerDatagram(new(0xC), bench.Guard.Session, bench.Now,
            [new(Vip, new(1, 1), AnswerKind.Refused, TimeSpan.Zero, new(1, 2))])));
        Assert.Equal(LeasePhase.Ended, bench.PhaseOf(Vip));
        Assert.NotEmpty(bench.ReleasesTo(N2));
    }

    [Fact]
    public void Answers_ToAnotherSessionOrFromTheFuture_GiveNoRight()
    {
        var bench = new GuardBench();
        bench.Tell(new Acquire(Vip, new(1, 1), [Door]));
        bench.N2Answers();
        LeaseAnswer[] granted = [new(Vip, new(1, 1), AnswerKind.Granted, TimeSpan.FromMilliseconds(150), Epoch.None)];
        bench.Step(new DatagramReceived(N2, new AnswerDatagram(new(0xB), new(0xDEAD), bench.Now, granted)));
        bench.Step(new DatagramReceived(N2, new AnswerDatagram(new(0xB), bench.Guard.Session, bench.Now + TimeSpan.FromSeconds(9), granted)));
        bench.Step(new DatagramReceived(new("n9"), new AnswerDatagram(new(0xB), bench.Guard.Session, bench.Now, granted)));
        Assert.DoesNotContain(bench.Effects, effect => effect is OpenDoor);
    }

    [Fact]
    public void Clocks_ThatJumpApart_EndEveryLease()
    {
        var bench = new GuardBench();
        bench.Hold(Service, 1, new CgroupEnforcement("db"));
        bench.Suspend(10);
        Assert.Equal(LeasePhase.Ended, bench.PhaseOf(Service));
    }

    [Fact]
    public void Door_ThatCannotBeOpened_GivesTheLeaseBackWithItsReason()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        bench.Step(new DoorResult(Vip, new(1, 1), Door, DoorMove.Renewed, "eth0 is gone"));
        Assert.Equal("eth0 is gone", bench.Told<LeaseChanged>().Last().Reason);
        Assert.NotEmpty(bench.ReleasesTo(N3));
    }

    [Fact]
    public void Acquire_OfALaterEpoch_EndsTheEarlierOneFirst()
    {
        var bench = new GuardBench();
        bench.Hold(Vip, 1, Door);
        bench.Hold(Vip, 2, Door);
        Assert.True(bench.Effects.FindIndex(effect => effect is CloseDoor { Epoch.Number: 1 }) < bench.Effects.FindIndex(effect => effect is OpenDoor { Epoch.Number: 2 }));
        Assert.Equal(new Epoch(1, 2), Assert.Single(bench.Guard.HeldAt(bench.Now)).Epoch);
    }
}

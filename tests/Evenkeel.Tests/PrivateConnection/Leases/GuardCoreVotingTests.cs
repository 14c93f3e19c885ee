using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Xunit;
using static Evenkeel.Tests.PrivateConnection.Leases.GuardBench;

namespace Evenkeel.Tests.PrivateConnection.Leases;

/// <summary>A guard as voter.</summary>
public sealed class GuardCoreVotingTests
{
    private static LeaseAnswer Ask(GuardBench bench, NodeName from, long number, AskKind kind, bool fenced = false, ulong session = 0xB)
    {
        bench.Step(new DatagramReceived(from, new AskDatagram(new(session), new(7, 8), [new(Vip, new(1, number), kind, fenced)], [])));
        var answer = bench.Sent<AnswerDatagram>(from).Last();
        Assert.Equal(new Instant(7, 8), answer.AskedAt);
        Assert.Equal(new GuardSession(session), answer.To);
        return answer.Answers.Single();
    }

    [Fact]
    public void Voter_ThatHasJustStarted_VotesOnlyAfterALeasesLengthAndTheCommittedEpochs()
    {
        var bench = new GuardBench(ready: false);
        bench.Pass(1000);
        Assert.Equal(AnswerKind.NotVoting, Ask(bench, N2, 5, AskKind.Promise).Kind);
        bench.Tell(new CommittedFloors(new Dictionary<string, Epoch> { [Vip.Value] = new(1, 4) }, 1));
        Assert.Equal(AnswerKind.Promised, Ask(bench, N2, 5, AskKind.Promise).Kind);

        var early = new GuardCore(new(1), 1, [], default);
        early.Step(new FromAgent(GuardBench.Configuration), new(1, 1));
        early.Step(new FromAgent(new CommittedFloors(new Dictionary<string, Epoch>(), 1)), new(1, 1));
        Assert.False(early.IsVotingAt(new(151_400_000, 151_400_000)));
        Assert.True(early.IsVotingAt(new(151_500_000, 151_500_000)));
        // A wait ends at the last of the two clocks.
        Assert.False(early.IsVotingAt(new(900_000_000, 1)));
    }

    [Fact]
    public void Voter_GrantsNoEpochBelowItsPromiseOrTheCommittedOne()
    {
        var bench = new GuardBench();
        bench.Tell(new CommittedFloors(new Dictionary<string, Epoch> { [Vip.Value] = new(1, 4) }, 1));
        Assert.Equal(new Epoch(1, 4), Ask(bench, N2, 3, AskKind.Grant).Floor);
        Ask(bench, N3, 6, AskKind.Promise);
        Assert.Equal(AnswerKind.Refused, Ask(bench, N2, 5, AskKind.Grant).Kind);
        Assert.Equal(AnswerKind.Granted, Ask(bench, N3, 6, AskKind.Grant).Kind);
    }

    [Fact]
    public void Voter_AfterARestoreOfTheStore_GrantsNothingOfTheEarlierIncarnation()
    {
        var bench = new GuardBench();
        bench.Tell(new CommittedFloors(new Dictionary<string, Epoch>(), 2));
        Assert.Equal(AnswerKind.Refused, Ask(bench, N2, 1000, AskKind.Promise).Kind);
    }

    [Fact]
    public void Promise_SaysHowLongTheLowerGrantStillRuns()
    {
        var bench = new GuardBench();
        Ask(bench, N2, 1, AskKind.Grant);
        bench.Pass(50);
        Assert.InRange(Ask(bench, N3, 2, AskKind.Promise).Duration.TotalMilliseconds, 100, 100.01);
        bench.Pass(101);
        Assert.Equal(TimeSpan.Zero, Ask(bench, N3, 2, AskKind.Promise).Duration);
    }

    [Fact]
    public void Release_EndsTheWaitOnlyForTheEpochThatItNames()
    {
        var bench = new GuardBench();
        Ask(bench, N2, 1, AskKind.Grant);
        bench.Step(new DatagramReceived(N2, new AskDatagram(new(0xB), default, [], [new(Vip, new(1, 0))])));
        bench.Step(new DatagramReceived(N3, new AskDatagram(new(0xC), default, [], [new(Vip, new(1, 1))])));
        Assert.True(Ask(bench, N3, 2, AskKind.Promise).Duration > TimeSpan.Zero);
        bench.Step(new DatagramReceived(N2, new AskDatagram(new(0xB), default, [], [new(Vip, new(1, 1))])));
        Assert.Equal(TimeSpan.Zero, Ask(bench, N3, 2, AskKind.Promise).Duration);
    }

    [Fact]
    public void Release_FollowedByALateRequestOfItsEpoch_StaysReleased()
    {
        var bench = new GuardBench();
        Ask(bench, N2, 1, AskKind.Grant);
        bench.Step(new DatagramReceived(N2, new AskDatagram(new(0xB), default, [], [new(Vip, new(1, 1))])));
        Assert.Equal(AnswerKind.Refused, Ask(bench, N2, 1, AskKind.Grant).Kind);
    }

    [Fact]
    public void Fencing_OfThePreviousOwner_SparesItsWaitButNoOlderOnes()
    {
        var bench = new GuardBench();
        Ask(bench, N2, 1, AskKind.Grant);
        Assert.Equal(TimeSpan.Zero, Ask(bench, N3, 2, AskKind.Promise, fenced: true).Duration);
        Assert.True(Ask(bench, N3, 3, AskKind.Promise, fenced: true).Duration > TimeSpan.Zero);
    }

    [Fact]
    public void Epoch_GrantedToOneSession_IsRefusedToAnother()
    {
        var bench = new GuardBench();
        Ask(bench, N2, 1, AskKind.Grant);
        Assert.Equal(AnswerKind.Refused, Ask(bench, N2, 1, AskKind.Grant, session: 0xBB).Kind);
        Assert.Equal(AnswerKind.Granted, Ask(bench, N2, 1, AskKind.Grant).Kind);
    }

    [Fact]
    public void Strangers_AreNotAnswered()
    {
        var bench = new GuardBench();
        bench.Step(new DatagramReceived(new("n9"), new AskDatagram(new(1), default, [new(Vip, new(1, 1), AskKind.Grant, false)], [])));
        Assert.Empty(bench.Sent<AnswerDatagram>(new("n9")));
    }
}

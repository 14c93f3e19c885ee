using Evenkeel.Core.Model;
using Evenkeel.Services.Ledger;
using Evenkeel.Services.PostgreSql;
using Xunit;

namespace Evenkeel.Tests.Services.PostgreSql;

/// <summary>Who can follow whom, who surely has what, and what a ledger concludes.</summary>
public sealed class DataTests
{
    private static string Control(string state, int timeline, string checkpoint, string recovered = "0/0") => $"""
        pg_control version number:            1300
        Database system identifier:           7438222222222222222
        Database cluster state:               {state}
        Latest checkpoint location:           {checkpoint}
        Latest checkpoint's TimeLineID:       {timeline}
        Minimum recovery ending location:     {recovered}
        Min recovery ending loc's timeline:   0
        Bytes per WAL segment:                16777216
        """;

    [Fact]
    public void ControlData_OfPostgreSql15_IsRead()
    {
        var data = ControlData.Parse(Control("shut down", 3, "0/5000028"));
        Assert.Equal(("7438222222222222222", 3, 0x5000028L, 16777216L), (data.System, data.Timeline, data.Position, data.SegmentBytes));
        Assert.True(data.WasPrimaryAndClosed);
        Assert.Throws<FormatException>(() => ControlData.Parse("nonsense"));
    }

    [Theory]
    [InlineData("shut down", 1, "0/5000027", "0/0", true)]
    [InlineData("shut down", 1, "0/5000028", "0/0", false)] // its closing record lies behind the fork
    [InlineData("in production", 1, "0/4000000", "0/0", false)] // what a crashed one has is not known
    [InlineData("in production", 2, "0/6000000", "0/0", true)]
    [InlineData("shut down in recovery", 1, "0/4000000", "0/5000028", true)]
    [InlineData("shut down in recovery", 1, "0/4000000", "0/5000029", false)]
    [InlineData("shut down in recovery", 3, "0/4000000", "0/4000000", false)] // a timeline that the upstream never had
    public void History_ForkedAt5000028_KnowsWhoHasMore(string state, int timeline, string checkpoint, string recovered, bool follows) =>
        Assert.Equal(follows, TimelineHistory.Parse(2, "1\t0/5000028\tno recovery target specified\n").HasAll(ControlData.Parse(Control(state, timeline, checkpoint, recovered))));

    [Fact]
    public void SynchronousWatch_OfAQuorum_BeginsAnewWithEachOtherSetting()
    {
        NodeName[] all = [new("a"), new("b"), new("c")];
        var watch = new SynchronousWatch();
        int At(double seconds, int any, NodeName[] names, long position, params long[] flushed) => watch.Observe(TimeSpan.FromSeconds(seconds),
            new ServerStatus(false, position, 1, SynchronousNames.Text(names, any, false), false, [.. all.Zip(flushed, (node, at) => new Follower(node, true, true, at))], 0)).Synchronous.Count;

        Assert.Equal(0, At(1, 1, all, 100, 100, 100, 100));
        Assert.Equal(1, At(2, 1, all, 300, 300, 250, 200)); // the barrier is 300
        Assert.Equal(2, At(2.1, 1, all, 400, 300, 300, 200));
        Assert.Equal(0, At(2.2, 2, all, 400, 400, 400, 400)); // commits had waited for one of them alone
        Assert.Equal(0, At(3.1, 2, all, 500, 500, 500, 500));
        Assert.Equal(3, At(3.3, 2, all, 600, 600, 600, 600));
        Assert.Equal(0, At(3.4, 3, all, 600, 600, 600, 600)); // of all by name: who of them had everything before, nobody knows
        Assert.Equal(3, At(4.5, 3, all, 600, 600, 600, 600));
        Assert.Equal(2, At(4.6, 2, all[..2], 700, 700, 700, 0)); // now each was waited for
        Assert.Empty(watch.Expect(new CommitWait(all, 1)));
    }

    [Fact]
    public void SynchronousWatch_NewSetting_ProvesNobodyBeforeASecondAndTheBarrier()
    {
        var (a, b) = (new NodeName("a"), new NodeName("b"));
        var watch = new SynchronousWatch();
        ServerStatus Status(NodeName[] names, long position, params (NodeName Node, long Flushed)[] followers) => new(false, position, 1, SynchronousNames.Text(names, null, false), false,
            [.. followers.Select(follower => new Follower(follower.Node, true, true, follower.Flushed))], 0);
        IReadOnlyList<NodeName> At(double seconds, ServerStatus status) => watch.Observe(TimeSpan.FromSeconds(seconds), status).Synchronous;

        Assert.Empty(At(10, Status([a], 100, (a, 100))));
        Assert.Empty(At(10.9, Status([a], 200, (a, 200))));
        Assert.Empty(At(11, Status([a], 300, (a, 250)))); // the barrier is 300
        Assert.Equal([a], At(11.1, Status([a], 400, (a, 300))));
        Assert.Empty(At(11.2, Status([a], 400))); // gone
        Assert.Equal([a], At(11.3, Status([a, b], 500, (a, 400), (b, 500)))); // a was waited for before and is now
        Assert.Equal([a, b], At(12.4, Status([a, b], 500, (a, 500), (b, 500))));
        Assert.Empty(At(12.5, Status([], 500, (a, 500))));
        Assert.Empty(At(12.6, Status([a], 600, (a, 600)))); // between the two, commits did not wait
        Assert.Empty(At(13.7, Status([a], 600, (a, 500))));
        Assert.Equal([a], At(13.8, Status([a], 700, (a, 700))));
        watch.Distrust(TimeSpan.FromSeconds(14)); // somebody changed it, and it was changed back between two looks
        Assert.Empty(watch.Observe(TimeSpan.FromSeconds(14.1), Status([a], 800, (a, 800))).Wait.Nodes);
        Assert.Empty(At(15.1, Status([a], 800, (a, 800))));
        Assert.Empty(At(16, Status([a], 900, (a, 800))));
        Assert.Equal([a], At(16.2, Status([a], 900, (a, 900))));
    }

    [Fact]
    public void Judge_Account_CountsWhatIsMissingAndTheLongestOutage()
    {
        static LedgerEntry Entry(long sequence, WriteOutcome outcome, int seconds) => new(sequence, outcome, TimeSpan.Zero, TimeSpan.FromSeconds(seconds));
        var verdict = WriteLedger.Judge(
            [Entry(1, WriteOutcome.Acknowledged, 1), Entry(2, WriteOutcome.Unknown, 2), Entry(3, WriteOutcome.Refused, 3), Entry(4, WriteOutcome.Unknown, 4), Entry(5, WriteOutcome.Acknowledged, 9)],
            new HashSet<long> { 1, 2 });
        Assert.Equal([5], verdict.Lost);
        Assert.Equal((2, 1, 2, 1, TimeSpan.FromSeconds(8)), (verdict.Acknowledged, verdict.Refused, verdict.Unknown, verdict.UnknownPresent, verdict.LongestOutage));
    }
}

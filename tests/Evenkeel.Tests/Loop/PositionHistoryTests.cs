using Evenkeel.Core.Loop.Replication;
using Xunit;

namespace Evenkeel.Tests.Loop;

public sealed class PositionHistoryTests
{
    private readonly PositionHistory history = new();

    [Fact]
    public void Of_NothingHeard_IsNotKnown() => Assert.Null(history.Of(0, TimeSpan.Zero));

    [Fact]
    public void Of_WhoHasEverything_IsNotBehindHoweverLongNothingIsWritten()
    {
        Add(seconds: 1, 100, 7);
        Assert.Equal(new ReplicaLag(0, 0, TimeSpan.Zero), Of(100, 3600));
        Assert.Equal(new ReplicaLag(0, 0, TimeSpan.Zero), Of(140, 3600));
    }

    [Fact]
    public void Of_WhoLacksSome_SaysBytesTransactionsAndTheAgeOfTheOldest()
    {
        Add(1, 100, 7);
        Add(2, 200, 9);
        Add(5, 300, 12);
        Assert.Equal(new ReplicaLag(200, 5, TimeSpan.FromSeconds(8)), Of(100, 10));
        Assert.Equal(new ReplicaLag(150, 5, TimeSpan.FromSeconds(8)), Of(150, 10));
        Assert.Equal(new ReplicaLag(100, 3, TimeSpan.FromSeconds(5)), Of(200, 10));
    }

    [Fact]
    public void Of_MoreThanTheHistoryKnows_SaysTheLeastAgeAndNoTransactions()
    {
        Add(1, 100, 7);
        Assert.Equal(new ReplicaLag(50, null, TimeSpan.FromSeconds(9)), Of(50, 10));
    }

    [Fact]
    public void Of_LogWithoutNumbersOfTransactions_SaysNoneOfThem()
    {
        Add(1, 100, 0);
        Add(2, 200, 0);
        Assert.Equal(new ReplicaLag(100, null, TimeSpan.FromSeconds(3)), Of(100, 5));
    }

    [Fact]
    public void Add_ForAMonth_StaysSmallAndErrsByAShareOfTheAge()
    {
        var position = 0L;
        var now = TimeSpan.Zero;
        for (; now < TimeSpan.FromDays(30); now += TimeSpan.FromSeconds(10)) history.Add(now, ++position, position);
        foreach (var behind in new[] { 1, 10, 100, 400 })
        {
            var lag = history.Of(position - behind, now)!.Value;
            Assert.Equal(behind, lag.Bytes);
            Assert.InRange(lag.Age.TotalSeconds, 10 * behind, 10 * behind * 1.02);
        }
        var month = history.Of(1, now)!.Value;
        Assert.InRange(month.Age.TotalDays, 29, 30.1);
    }

    private void Add(int seconds, long position, long transactions) => history.Add(TimeSpan.FromSeconds(seconds), position, transactions);
    private ReplicaLag? Of(long position, int seconds) => history.Of(position, TimeSpan.FromSeconds(seconds));
}

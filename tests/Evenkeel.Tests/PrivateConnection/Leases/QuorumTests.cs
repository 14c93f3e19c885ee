using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection.Leases;
using Xunit;

namespace Evenkeel.Tests.PrivateConnection.Leases;

public sealed class QuorumTests
{
    private static readonly NodeName[] Five = [new("a"), new("b"), new("c"), new("d"), new("e")];

    private static Dictionary<NodeName, Instant> Moments(params (int Boot, int Raw)[] moments) =>
        moments.Select((moment, i) => (Five[i], moment)).ToDictionary(pair => pair.Item1, pair => new Instant(pair.moment.Boot, pair.moment.Raw));

    [Fact]
    public void HeldUntil_IsTheEndOfTheThirdLongestOfFive() =>
        Assert.Equal(new Instant(30, 30), new Quorum(Five).HeldUntil(Moments((10, 10), (50, 50), (20, 20), (40, 40), (30, 30))));

    [Fact]
    public void HeldUntil_ByTwoOfFive_IsNever() => Assert.Null(new Quorum(Five).HeldUntil(Moments((10, 10), (50, 50))));

    [Fact]
    public void HeldUntil_OfClocksThatDisagree_TakesTheEarlierOnEach() =>
        Assert.Equal(new Instant(30, 5), new Quorum(Five).HeldUntil(Moments((30, 30), (40, 40), (50, 5))));

    [Fact]
    public void WaitedUntil_IsTheEndOfTheThirdShortestOfFive() =>
        Assert.Equal(new Instant(30, 30), new Quorum(Five).WaitedUntil(Moments((10, 10), (50, 50), (20, 20), (40, 40), (30, 30))));

    [Fact]
    public void Quorum_OfNobody_IsNeverReached()
    {
        Assert.Equal(1, new Quorum([]).Needed);
        Assert.Null(new Quorum([]).HeldUntil(Moments((1, 1))));
    }
}

using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

public sealed class FlapWatchTests
{
    private static readonly NodeName node = new("n2");
    private readonly FlapWatch flaps = new();

    [Fact]
    public void LossesWithinMoments_AreOne()
    {
        // As seen of a node that came back under load: its agent compiled while it was judged.
        Lose(10, 10.25, 10.45, 10.5, 10.7);
        Assert.False(flaps.Flaps(node, Seconds(10.7)));
    }

    [Fact]
    public void NodeThatNeverStopsComingAndGoing_FlapsAfterSeconds()
    {
        for (var at = 0.0; at < 1.9; at += 0.2) Lose(at);
        Assert.False(flaps.Flaps(node, Seconds(1.9)));
        Lose(2.2);
        Assert.True(flaps.Flaps(node, Seconds(2.2)));
    }

    [Fact]
    public void ThreeLossesWithinTheWindow_Flap_FurtherApartTheyDoNot()
    {
        Lose(0, 20, 59);
        Assert.True(flaps.Flaps(node, Seconds(59)));
        Assert.False(flaps.Flaps(node, Seconds(61)));
        flaps.Forgive(node);
        Lose(100, 101);
        Assert.False(flaps.Flaps(node, Seconds(101)));
    }

    private void Lose(params double[] moments)
    {
        foreach (var at in moments) flaps.Lost(node, Seconds(at));
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);
}

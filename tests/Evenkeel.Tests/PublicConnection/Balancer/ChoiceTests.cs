using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Choice;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

public sealed class ChoiceTests
{
    private static Backend Of(string node, int weight) => new(
        new Destination("web", new NodeName(node), new PrivateEndpoint(IPAddress.Loopback, 1), DestinationState.Up, weight), null, TimeSpan.FromSeconds(1));

    [Fact]
    public void RoundRobin_ByWeight_SpreadsWithoutBursts()
    {
        using Backend a = Of("a", 3), b = Of("b", 1);
        var choice = new RoundRobin();
        var order = string.Concat(Enumerable.Range(0, 8).Select(_ => choice.Choose([a, b], [], 0, TimeSpan.Zero)!.Destination.Node.Value));
        Assert.Equal("aabaaaba", order);
    }

    [Fact]
    public void Choice_WhatWasTried_IsNotChosenAgain()
    {
        using Backend a = Of("a", 1), b = Of("b", 1);
        foreach (IDestinationChoice choice in new IDestinationChoice[] { new RoundRobin(), new TwoChoices(), new LeastRequests() })
        {
            for (var i = 0; i < 20; i++) Assert.Same(b, choice.Choose([a, b], [a], 0, TimeSpan.Zero));
            Assert.Null(choice.Choose([a, b], [a, b], 0, TimeSpan.Zero));
        }
    }

    [Fact]
    public void TwoChoices_OneHasJustComeUp_GetsLittleFirst()
    {
        using Backend old = Of("old", 100), fresh = Of("fresh", 100);
        fresh.UpSince = 1000;
        Assert.Equal(10, fresh.EffectiveWeight(1000, TimeSpan.FromSeconds(2)));
        Assert.Equal(50, fresh.EffectiveWeight(2000, TimeSpan.FromSeconds(2)));
        Assert.Equal(100, fresh.EffectiveWeight(3000, TimeSpan.FromSeconds(2)));
        Assert.Equal(100, old.EffectiveWeight(1000, TimeSpan.FromSeconds(2)));
    }

    [Fact]
    public void RetryBudget_Spent_EarnsOneRetryInFiveRequests()
    {
        var budget = new RetryBudget();
        while (budget.TryTake()) { }
        for (var i = 0; i < 4; i++) budget.RequestCame();
        Assert.False(budget.TryTake());
        budget.RequestCame();
        Assert.True(budget.TryTake());
        Assert.False(budget.TryTake());
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.99)]
    public void Latency_Quantile_IsWithinAnEighth(double quantile)
    {
        var histogram = new LatencyHistogram();
        for (var i = 1; i <= 10_000; i++) histogram.Record(TimeSpan.FromMicroseconds(i));
        var exact = 10_000 * quantile;
        Assert.InRange(histogram.Quantile(quantile).TotalMicroseconds, exact, exact * 1.13 + 1);
    }
}

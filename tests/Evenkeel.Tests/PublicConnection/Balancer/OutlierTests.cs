using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Health;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Who is left for a while because of what requests met there, and who is not.</summary>
public sealed class OutlierTests : IDisposable
{
    private const int Fast = 5, Slow = 400;
    private readonly BackendPool pool = new(new PoolSettings(PublishProtocol.Http, TimeSpan.FromSeconds(1), TimeSpan.Zero));
    private readonly Outliers outliers;
    private long now = Environment.TickCount64;

    public OutlierTests()
    {
        outliers = new Outliers(pool);
        Publish(DoorSpec.Default);
    }

    public void Dispose() => pool.Dispose();

    [Fact]
    public void HalfOfTheAnswersAreErrors_WhileOthersAreWell_IsLeftAtOnce()
    {
        Window((20, 10, Fast), (20, 0, Fast), (20, 1, Fast));
        Assert.Equal(["n0"], Ejected());
        Assert.InRange(pool.All.Single(one => one.Destination.Node.Value == "n0").EjectedUntil, now - 1000, now + 6000);
    }

    [Fact]
    public void AllAnswerWithErrors_NobodyIsLeft()
    {
        Window((20, 20, Fast), (20, 18, Fast), (20, 20, Fast));
        Assert.Empty(Ejected());
    }

    [Fact]
    public void FewAnswers_SayNothing()
    {
        Window((9, 9, Fast), (20, 0, Fast), (20, 0, Fast));
        Assert.Empty(Ejected());
    }

    [Fact]
    public void SlowForTwoWindows_IsLeft()
    {
        Window((20, 0, Slow), (20, 0, Fast), (20, 0, Fast));
        Assert.Empty(Ejected());
        Window((20, 0, Slow), (20, 0, Fast), (20, 0, Fast));
        Assert.Equal(["n0"], Ejected());
    }

    [Fact]
    public void SlowOnceInAWhile_IsNot()
    {
        for (var i = 0; i < 4; i++)
        {
            Window((20, 0, Slow), (20, 0, Fast), (20, 0, Fast));
            Window((20, 0, Fast), (20, 0, Fast), (20, 0, Fast));
        }
        Assert.Empty(Ejected());
    }

    [Fact]
    public void AllAreSlow_NobodyIsLeft()
    {
        for (var i = 0; i < 3; i++) Window((20, 0, Slow), (20, 0, Slow), (20, 0, Slow / 2));
        Assert.Empty(Ejected());
    }

    [Fact]
    public void TwoOfThreeFail_AtMostHalfAreLeft()
    {
        // Of three, one; the others' errors make it a fault of all at the next look anyway.
        for (var i = 0; i < 3; i++) Window((100, 100, Fast), (1000, 0, Fast), (100, 60, Fast));
        Assert.Single(Ejected());
    }

    [Fact]
    public void EntrySaysNo_NobodyIsLeft()
    {
        Publish(new DoorSpec { Http = new HttpDoorSpec { Outliers = false } });
        for (var i = 0; i < 3; i++) Window((20, 20, Slow), (20, 0, Fast), (20, 0, Fast));
        Assert.Empty(Ejected());
    }

    [Fact]
    public void ClientsAreBoundToInstances_SlownessIsTheirQuestionsDoing()
    {
        Publish(new DoorSpec { Http = new HttpDoorSpec { Sticky = new StickySpec("seat", null) } });
        for (var i = 0; i < 3; i++) Window((20, 0, Slow), (20, 0, Fast), (20, 0, Fast));
        Assert.Empty(Ejected());
    }

    private void Publish(DoorSpec door) => pool.Publish(new RouteTable(1,
    [
        new Route
        {
            Service = "web", Vip = "front", Listen = new PublicEndpoint(IPAddress.Loopback, 1), Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null, Door = door,
            Destinations = [.. Enumerable.Range(0, 3).Select(i => new Destination("web", new NodeName($"n{i}"), new PrivateEndpoint(IPAddress.Loopback, i + 1), DestinationState.Up))],
        },
    ]));

    private void Window(params (int Answers, int Errors, int Milliseconds)[] met)
    {
        outliers.Tick(now);
        foreach (var (i, one) in met.Index())
            for (var answer = 0; answer < one.Answers; answer++)
                pool.All.Single(backend => backend.Destination.Node.Value == $"n{i}").Answered(answer < one.Errors ? 500 : 200, TimeSpan.FromMilliseconds(one.Milliseconds));
        outliers.Tick(now += Outliers.Window);
    }

    private IEnumerable<string> Ejected() => pool.All.Where(one => one.EjectedUntil > 0).Select(one => one.Destination.Node.Value).Order();
}

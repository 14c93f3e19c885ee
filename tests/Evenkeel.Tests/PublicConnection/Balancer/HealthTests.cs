using System.Net;
using System.Net.Http;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Hung, cut, slow and sick destinations, and the difference between them.</summary>
public sealed class HealthTests
{
    private static readonly HttpBalancerOptions patient = new() { UncheckedSilence = TimeSpan.FromMinutes(1) };

    [Fact]
    public async Task Get_DestinationHangs_IsAnsweredByAnother()
    {
        await using var hung = new ScriptedInstance("hung");
        await using var good = new ScriptedInstance("good");
        await using var door = await OpenDoor.ToAsync(OpenDoor.Checks with { Timeout = TimeSpan.FromMilliseconds(300) }, null, hung.Destination(), good.Destination());
        hung.Hang();
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => door.GetAsync("/page")));
        Assert.All(answers, answer => Assert.Equal("good", answer));
        Assert.NotEmpty(hung.Requests);
    }

    [Fact]
    public async Task Get_UncheckedDestinationHangsAndTakesNobody_IsAnsweredByAnother()
    {
        await using var hung = new ScriptedInstance("hung");
        await using var good = new ScriptedInstance("good");
        await using var door = await OpenDoor.ToAsync(hung.Destination(), good.Destination());
        var arrived = new TaskCompletionSource();
        hung.Answer = async _ =>
        {
            hung.StopListening();
            arrived.TrySetResult();
            await Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
            return null;
        };
        for (var i = 0; i < 2; i++) Assert.Equal("good", await door.GetAsync("/page"));
        Assert.True(arrived.Task.IsCompleted);
        Assert.Single(hung.To("/page"));
    }

    [Fact]
    public async Task Get_UncheckedDestinationIsSlow_IsWaitedForAndSentOnce()
    {
        await using var one = new ScriptedInstance("one");
        await using var two = new ScriptedInstance("two");
        foreach (var instance in new[] { one, two })
            instance.Answer = async _ =>
            {
                // Far longer than silence is borne; not a wait for an event.
                await Task.Delay(1500);
                return instance.Name;
            };
        await using var door = await OpenDoor.ToAsync(one.Destination(), two.Destination());
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => door.GetAsync("/slow")));
        Assert.Equal(3, one.To("/slow").Concat(two.To("/slow")).Count());
        Assert.All(door.Balancer.Snapshot().Destinations, instance => Assert.Equal((0L, false), (instance.Failures, instance.Ejected)));
    }

    [Fact]
    public async Task Get_AnswerIsSlowButChecksPass_IsWaitedForAndSentOnce()
    {
        await using var one = new ScriptedInstance("one");
        await using var two = new ScriptedInstance("two");
        foreach (var instance in new[] { one, two })
            instance.Answer = async request =>
            {
                // Far longer than silence is borne; not a wait for an event.
                if (request.Path == "/slow") await Task.Delay(1000);
                return instance.Name;
            };
        await using var door = await OpenDoor.ToAsync(OpenDoor.Checks with { Timeout = TimeSpan.FromMilliseconds(300) }, null, one.Destination(), two.Destination());
        await door.GetAsync("/slow");
        Assert.Single(one.To("/slow").Concat(two.To("/slow")));
    }

    [Fact]
    public async Task Publish_DestinationGoesDown_MovesItsRunningRequests()
    {
        await using var lost = new ScriptedInstance("lost");
        await using var good = new ScriptedInstance("good");
        var arrived = new TaskCompletionSource();
        lost.Answer = async _ =>
        {
            arrived.TrySetResult();
            await Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
            return null;
        };
        await using var door = await OpenDoor.ToAsync(null, patient, lost.Destination());
        door.Publish(lost.Destination());
        var waiting = door.GetAsync("/page");
        await arrived.Task.WaitAsync(TestContext.Current.CancellationToken);
        door.Publish(lost.Destination(DestinationState.Down), good.Destination());
        Assert.Equal("good", await waiting);
    }

    [Fact]
    public async Task Publish_DestinationDrains_LetsItsRunningRequestsEnd()
    {
        await using var leaving = new ScriptedInstance("leaving");
        await using var good = new ScriptedInstance("good");
        var arrived = new TaskCompletionSource();
        var finish = new TaskCompletionSource();
        leaving.Answer = async _ =>
        {
            arrived.TrySetResult();
            await finish.Task;
            return "leaving";
        };
        await using var door = await OpenDoor.ToAsync(null, patient, leaving.Destination());
        var running = door.GetAsync("/page");
        await arrived.Task.WaitAsync(TestContext.Current.CancellationToken);
        door.Publish(leaving.Destination(DestinationState.Draining), good.Destination());
        for (var i = 0; i < 4; i++) Assert.Equal("good", await door.GetAsync("/page"));
        // Its node hears of it, and does not stop the instance before.
        Assert.Equal(new Carried("web", leaving.Destination().Node), Assert.Single(door.Balancer.Finishing));
        finish.SetResult();
        Assert.Equal("leaving", await running);
        while (door.Balancer.Finishing.Any()) await Task.Delay(5, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Publish_DestinationDrainsBeyondItsDeadline_ItsRequestsEnd()
    {
        await using var hung = new ScriptedInstance("hung");
        await using var good = new ScriptedInstance("good");
        var arrived = new TaskCompletionSource();
        hung.Answer = async _ =>
        {
            arrived.TrySetResult();
            await Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
            return null;
        };
        await using var door = await OpenDoor.ToAsync(null, patient, hung.Destination());
        door.DrainTimeout = TimeSpan.FromMilliseconds(200);
        using var post = new StringContent("once");
        var running = door.Client.PostAsync(new Uri("/", UriKind.Relative), post, TestContext.Current.CancellationToken);
        await arrived.Task;
        door.Publish(hung.Destination(DestinationState.Draining), good.Destination());
        using var answer = await running.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        // It was sent: nobody else gets it.
        Assert.Empty(good.Requests);
    }

    [Fact]
    public async Task Get_EveryCheckFails_IsStillServed()
    {
        await using var one = new ScriptedInstance("one", request => Task.FromResult<string?>(request.Path == "/healthz" ? "!500 Sick" : "one"));
        await using var door = await OpenDoor.ToAsync(OpenDoor.Checks, null, one.Destination());
        while (door.Balancer.Snapshot().Destinations.Single().Healthy) await door.GetAsync("/page");
        Assert.Equal("one", await door.GetAsync("/page"));
    }

    [Fact]
    public async Task Get_OneFailsItsChecks_GoesToTheOthersAndBackWhenItRecovers()
    {
        await using var sick = new ScriptedInstance("sick", request => Task.FromResult<string?>(request.Path == "/healthz" ? "!500 Sick" : "sick"));
        await using var good = new ScriptedInstance("good");
        await using var door = await OpenDoor.ToAsync(OpenDoor.Checks, null, sick.Destination(), good.Destination());
        while (door.Balancer.Snapshot().Destinations.Single(one => one.Node.Value == sick.Name).Healthy) await door.GetAsync("/page");
        for (var i = 0; i < 4; i++) Assert.Equal("good", await door.GetAsync("/page"));
        sick.Answer = _ => Task.FromResult<string?>("sick");
        while (await door.GetAsync("/page") != "sick") { }
    }

    [Fact]
    public async Task Get_NothingIsUp_IsToldToComeBack()
    {
        await using var down = new ScriptedInstance("down");
        await using var door = await OpenDoor.ToAsync(down.Destination(DestinationState.Down));
        using var answer = await door.Client.GetAsync(new Uri("/", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), answer.Headers.RetryAfter?.Delta);
        Assert.Empty(down.Requests);
    }
}

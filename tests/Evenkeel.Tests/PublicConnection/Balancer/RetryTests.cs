using System.Net;
using System.Net.Http;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>What may be sent again, and what may not.</summary>
public sealed class RetryTests
{
    private static Destination Refusing(ScriptedInstance like) =>
        like.Destination() with { Endpoint = new PrivateEndpoint(IPAddress.Loopback, OpenDoor.FreePort()) };

    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    public async Task Request_DestinationRefusesConnections_IsAnsweredByAnother(string method)
    {
        await using var good = new ScriptedInstance("good");
        await using var door = await OpenDoor.ToAsync(Refusing(good), good.Destination());
        for (var i = 0; i < 6; i++)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), "/") { Content = method == "POST" ? new StringContent("order 1") : null };
            using var answer = await door.Client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
        Assert.Equal(6, good.Requests.Count);
    }

    [Fact]
    public async Task Get_DestinationDiesWithTheRequest_IsAnsweredByAnother()
    {
        await using var bad = new ScriptedInstance("bad", _ => Task.FromResult<string?>(null));
        await using var good = new ScriptedInstance("good");
        await using var door = await OpenDoor.ToAsync(bad.Destination(), good.Destination());
        for (var i = 0; i < 4; i++) Assert.Equal("good", await door.GetAsync("/"));
        Assert.NotEmpty(bad.Requests);
    }

    /// <summary>As when so many clients come at once that the instances' kernels drop some: retries of what never got there are not rationed.</summary>
    [Fact]
    public async Task Get_ManyAtOnceReachNobody_EachIsTriedAsOftenAsOneAlone()
    {
        const int clients = 400, attempts = 8;
        await using var like = new ScriptedInstance("one");
        await using var door = await OpenDoor.ToAsync(Refusing(like));
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            using var answer = await door.Client.GetAsync(new Uri("/", UriKind.Relative), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        }));
        Assert.Equal(clients * attempts, door.Balancer.Snapshot().Destinations.Single().Requests);
    }

    [Theory]
    [InlineData("")]
    [InlineData("order 1")]
    public async Task Post_DestinationDiesWithTheRequest_IsNeverSentTwice(string body)
    {
        var token = TestContext.Current.CancellationToken;
        await using var one = new ScriptedInstance("one");
        await using var two = new ScriptedInstance("two");
        await using var door = await OpenDoor.ToAsync(one.Destination(), two.Destination());
        // Reused connections on purpose: it is on those that HTTP clients repeat requests by themselves.
        for (var i = 0; i < 4; i++) await door.GetAsync("/warm");
        one.Answer = two.Answer = _ => Task.FromResult<string?>(null);
        using var content = body.Length == 0 ? null : new StringContent(body);
        using var answer = await door.Client.PostAsync(new Uri("/order", UriKind.Relative), content, token);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Single(one.To("/order").Concat(two.To("/order")));
    }

    [Fact]
    public async Task Put_DestinationDiesWithTheRequest_IsRepeatedWithItsWholeBody()
    {
        await using var bad = new ScriptedInstance("bad", _ => Task.FromResult<string?>(null));
        await using var good = new ScriptedInstance("good");
        await using var door = await OpenDoor.ToAsync(bad.Destination(), good.Destination());
        // Which is asked first is drawn.
        var asked = 0;
        for (; asked < 4 || (bad.Requests.IsEmpty && asked < 100); asked++)
        {
            using var content = new StringContent("the whole document");
            using var answer = await door.Client.PutAsync(new Uri("/document", UriKind.Relative), content, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
        Assert.NotEmpty(bad.Requests);
        Assert.Equal(asked, good.Requests.Count);
        Assert.All(good.Requests, request => Assert.Equal("the whole document", request.Body));
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    public async Task Request_EveryDestinationRefusesConnections_GetsTheMaintenancePage(string method)
    {
        await using var like = new ScriptedInstance("like");
        await using var door = await OpenDoor.ToAsync(Refusing(like), Refusing(like));
        using var request = new HttpRequestMessage(new HttpMethod(method), "/");
        using var answer = await door.Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("Temporarily unavailable", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_EveryDestinationDies_EndsWithBadGatewayAfterTryingEach()
    {
        await using var one = new ScriptedInstance("one", _ => Task.FromResult<string?>(null));
        await using var two = new ScriptedInstance("two", _ => Task.FromResult<string?>(null));
        await using var door = await OpenDoor.ToAsync(one.Destination(), two.Destination());
        using var answer = await door.Client.GetAsync(new Uri("/", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.NotEmpty(one.Requests);
        Assert.NotEmpty(two.Requests);
    }
}

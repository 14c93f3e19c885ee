using System.Net;
using System.Net.Http;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Who may come in at an HTTP door, and how often.</summary>
public sealed class EntranceTests
{
    private static readonly IPNetwork loopback = IPNetwork.Parse("127.0.0.0/8");

    [Fact]
    public async Task Deny_Client_IsNotLetIn()
    {
        await using var door = await OpenAsync(new DoorSpec { Deny = [loopback] });
        await NotLetIn(door.Client, door.Url);
        door.Publish(new DoorSpec { Allow = [loopback] });
        Assert.Equal(HttpStatusCode.OK, await door.AskAsync());
    }

    // The client's runtime says it in its own words when the connection is gone before it has looked at it.
    private static async Task NotLetIn(HttpClient client, Uri url)
    {
        var refused = await Record.ExceptionAsync(() => client.GetAsync(url, TestContext.Current.CancellationToken));
        Assert.True(refused is HttpRequestException or System.Net.Sockets.SocketException, refused?.ToString() ?? "it was let in");
    }

    [Fact]
    public async Task Rate_BurstUsedUp_IsAnsweredWith429()
    {
        await using var door = await OpenAsync(new DoorSpec { RatePerAddress = 0.001, RateBurst = 2 });
        Assert.Equal(HttpStatusCode.OK, await door.AskAsync());
        Assert.Equal(HttpStatusCode.OK, await door.AskAsync());
        Assert.Equal(HttpStatusCode.TooManyRequests, await door.AskAsync());
        Assert.Equal(2, door.Instance.Requests.Count);
    }

    [Fact]
    public async Task ConnectionsPerAddress_OneTooMany_IsNotLetIn()
    {
        await using var door = await OpenAsync(new DoorSpec { MaxConnectionsPerAddress = 1 });
        Assert.Equal(HttpStatusCode.OK, await door.AskAsync());
        using var another = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        await NotLetIn(another, door.Url);
        Assert.Equal(HttpStatusCode.OK, await door.AskAsync());
    }

    [Fact]
    public async Task SourceHash_SameClient_SameInstance()
    {
        await using var other = new ScriptedInstance("b");
        await using var door = await OpenAsync(DoorSpec.Default);
        door.Publish(DoorSpec.Default, BalancePolicy.SourceHash, other.Destination());
        for (var i = 0; i < 20; i++) Assert.Equal(HttpStatusCode.OK, await door.AskAsync());
        Assert.Equal([0, 20], new[] { door.Instance.Requests.Count, other.Requests.Count }.Order());
    }

    private static async Task<Opened> OpenAsync(DoorSpec spec)
    {
        var door = new Opened();
        door.Publish(spec);
        Assert.Null(await door.Balancer.OpenAsync(door.Listen, TimeSpan.FromSeconds(5), CancellationToken.None));
        return door;
    }

    private sealed class Opened : IAsyncDisposable
    {
        private long version;
        // A machine that is busy elsewhere for 300 ms is no reason to ask another instance.
        public HttpBalancer Balancer { get; } = new(new HttpBalancerOptions { UncheckedSilence = TimeSpan.FromMinutes(1) });
        public ScriptedInstance Instance { get; } = new("a");
        public PublicEndpoint Listen { get; } = new(IPAddress.Loopback, OpenDoor.FreePort());
        public Uri Url => new($"http://{Listen}/");
        public HttpClient Client { get; } = new(new SocketsHttpHandler { UseProxy = false });

        public void Publish(DoorSpec door, BalancePolicy balance = BalancePolicy.RoundRobin, params Destination[] more) => Balancer.Publish(new RouteTable(++version,
        [
            new Route
            {
                Service = "web", Vip = "front", Listen = Listen, Protocol = PublishProtocol.Http, Balance = balance, Health = null, Door = door,
                Destinations = [Instance.Destination(), .. more],
            },
        ]));

        public async Task<HttpStatusCode> AskAsync()
        {
            using var answer = await Client.GetAsync(Url, TestContext.Current.CancellationToken);
            return answer.StatusCode;
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Balancer.DisposeAsync();
            await Instance.DisposeAsync();
        }
    }
}

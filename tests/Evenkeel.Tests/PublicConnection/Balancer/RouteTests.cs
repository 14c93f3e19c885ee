using System.Net;
using System.Net.Http;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Several services behind one HTTP port.</summary>
public sealed class RouteTests
{
    [Theory]
    [InlineData("shop.example", "/", null, "shop")]
    [InlineData("SHOP.example.", "/apix", null, "shop")]
    [InlineData("shop.example", "/api", null, "api")]
    [InlineData("shop.example", "/api/v2/x?y=/", null, "v2")]
    [InlineData("shop.example", "/API", null, "shop")]
    [InlineData("shop.example", "/api/../admin", null, "shop")]
    [InlineData("shop.example", "/x/../api/y", null, "api")]
    [InlineData("shop.example", "/%61pi", null, "api")]
    [InlineData("www.shop.example", "/api", null, "wild")]
    [InlineData("a.www.shop.example", "/", null, "rest")]
    [InlineData("shop.example", "/", "canary", "next")]
    [InlineData("shop.example", "/api", "canary", "api")]
    [InlineData("shop.example", "/", "other", "shop")]
    [InlineData("else.example", "/api", null, "rest")]
    public async Task Request_ManyRoutes_GoesToTheMostSpecificOne(string host, string path, string? release, string expected)
    {
        await using var doors = new Routes(
            ("rest", HttpDoorSpec.Default),
            ("shop", new HttpDoorSpec { Hosts = ["shop.example"] }),
            ("next", new HttpDoorSpec { Hosts = ["shop.example"], Headers = new Dictionary<string, string> { ["X-Release"] = "canary" } }),
            ("wild", new HttpDoorSpec { Hosts = ["*.shop.example"] }),
            ("v2", new HttpDoorSpec { Hosts = ["shop.example"], Paths = ["/api/v2"] }),
            ("api", new HttpDoorSpec { Hosts = ["shop.example"], Paths = ["/api/"] }));
        await doors.OpenAsync();
        var (status, body) = await doors.AskAsync(host, path, release);
        Assert.Equal((200, expected), (status, body));
    }

    [Fact]
    public async Task Request_NoRouteIsMeant_IsAnsweredWith404()
    {
        await using var doors = new Routes(("shop", new HttpDoorSpec { Hosts = ["shop.example"], Headers = new Dictionary<string, string> { ["x-release"] = "*" } }));
        await doors.OpenAsync();
        Assert.Equal(404, (await doors.AskAsync("else.example", "/", "any")).Status);
        Assert.Equal(404, (await doors.AskAsync("shop.example", "/", null)).Status);
        Assert.Equal(200, (await doors.AskAsync("shop.example", "/", "any")).Status);
    }

    [Fact]
    public async Task Deny_OfOneRoute_LeavesTheOthersOpen()
    {
        await using var doors = new Routes(("open", new HttpDoorSpec { Hosts = ["open.example"] }), ("inner", new HttpDoorSpec { Hosts = ["inner.example"] }));
        doors.Common["inner"] = new DoorSpec { Deny = [IPNetwork.Parse("127.0.0.0/8")] };
        await doors.OpenAsync();
        Assert.Equal(200, (await doors.AskAsync("open.example", "/", null)).Status);
        Assert.Equal(403, (await doors.AskAsync("inner.example", "/", null)).Status);
    }

    [Fact]
    public async Task TwoEntriesOfOneService_EachHasItsOwnLimits()
    {
        await using var doors = new Routes(("web", new HttpDoorSpec { Paths = ["/slow"] }), ("web", HttpDoorSpec.Default));
        doors.Common["web"] = new DoorSpec { RatePerAddress = 0.001, RateBurst = 1 };
        await doors.OpenAsync();
        Assert.Equal(200, (await doors.AskAsync("x", "/slow", null)).Status);
        Assert.Equal(429, (await doors.AskAsync("x", "/slow", null)).Status);
        Assert.Equal(200, (await doors.AskAsync("x", "/", null)).Status);
    }

    /// <summary>One instance a service, each saying its service's name.</summary>
    private sealed class Routes(params (string Service, HttpDoorSpec Http)[] entries) : IAsyncDisposable
    {
        private readonly HttpBalancer balancer = new();
        private readonly Dictionary<string, ScriptedInstance> instances = entries.Select(entry => entry.Service).Distinct().ToDictionary(name => name, name => new ScriptedInstance(name));
        private readonly PublicEndpoint listen = new(IPAddress.Loopback, OpenDoor.FreePort());
        private readonly HttpClient client = new(new SocketsHttpHandler { UseProxy = false });

        public Dictionary<string, DoorSpec> Common { get; } = [];

        public async Task OpenAsync()
        {
            balancer.Publish(new RouteTable(1, [.. entries.Select(entry => new Route
            {
                Service = entry.Service, Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null,
                Door = Common.GetValueOrDefault(entry.Service, DoorSpec.Default) with { Http = entry.Http },
                Destinations = [instances[entry.Service].Destination() with { Service = entry.Service }],
            })]));
            Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
        }

        public async Task<(int Status, string Body)> AskAsync(string host, string path, string? release)
        {
            var url = new Uri($"http://{listen}{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.Host = host;
            if (release is not null) request.Headers.Add("X-Release", release);
            using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        public async ValueTask DisposeAsync()
        {
            client.Dispose();
            await balancer.DisposeAsync();
            foreach (var instance in instances.Values) await instance.DisposeAsync();
        }
    }
}

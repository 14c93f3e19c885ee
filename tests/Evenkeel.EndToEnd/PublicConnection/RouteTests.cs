using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>Several services behind one port, asked by curl. Needs root, nginx, curl.</summary>
[Collection("farm")]
[Trait("Peer", "nginx")]
public sealed class RouteTests
{
    [Fact]
    public async Task Curl_HostsPathsAndHeaders_ReachTheirOwnServers()
    {
        using var farm = new NginxFarm(3);
        await using var balancer = new HttpBalancer();
        var listen = FreePort.Take();
        balancer.Publish(new RouteTable(1,
        [
            Route(farm, listen, 1, new HttpDoorSpec { Hosts = ["shop.example"] }),
            Route(farm, listen, 2, new HttpDoorSpec { Hosts = ["shop.example"], Paths = ["/api"] }),
            Route(farm, listen, 3, new HttpDoorSpec { Headers = new Dictionary<string, string> { ["X-Release"] = "canary" } }),
        ]));
        Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        string Ask(string host, string rest) => NginxFarm.Run($"curl -sS --path-as-is --max-time 10 -w %{{http_code}} -H Host:{host} {rest.Replace("URL", $"http://{listen}", StringComparison.Ordinal)}");
        Assert.Equal("n1200", Ask("shop.example", "URL/"));
        Assert.Equal("n2200", Ask("shop.example", "URL/api/x"));
        Assert.Equal("n1200", Ask("shop.example", "URL/api/../x"));
        Assert.Equal("n3200", Ask("other.example", "-H X-Release:canary URL/api"));
        Assert.Equal("404", Ask("other.example", "URL/"));
    }

    private static Route Route(NginxFarm farm, PublicEndpoint listen, int number, HttpDoorSpec http) => new()
    {
        Service = $"s{number}", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null,
        Door = new DoorSpec { Http = http }, Destinations = [farm.Destination(number) with { Service = $"s{number}" }],
    };
}

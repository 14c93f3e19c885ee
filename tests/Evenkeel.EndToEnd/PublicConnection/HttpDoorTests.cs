using System.Net;
using System.Text.Json;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>Cookies, access logs and PROXY headers as curl understands them. Needs root, nginx, curl.</summary>
[Collection("farm")]
[Trait("Peer", "curl")]
public sealed class HttpDoorTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-door-").FullName;

    [Fact]
    public async Task Curl_CookieJar_StaysWithOneServer()
    {
        using var farm = new NginxFarm(3);
        await using var balancer = new HttpBalancer();
        var listen = await OpenAsync(balancer, farm, new DoorSpec { Http = new HttpDoorSpec { Sticky = new StickySpec("seat", TimeSpan.FromHours(1)) } });
        string Ask() => NginxFarm.Run($"curl -sS --max-time 10 -c {directory}/jar -b {directory}/jar http://{listen}/");
        var first = Ask();
        for (var i = 0; i < 6; i++) Assert.Equal(first, Ask());
        farm.Kill(int.Parse(first[1..], System.Globalization.CultureInfo.InvariantCulture));
        var second = Ask();
        Assert.NotEqual(first, second);
        Assert.Equal(second, Ask());
    }

    [Fact]
    public async Task Curl_HaproxyProtocol_IsTheClientInTheAccessLog()
    {
        using var farm = new NginxFarm(1);
        var log = Path.Combine(directory, "access.log");
        await using (var balancer = new HttpBalancer())
        {
            var listen = await OpenAsync(balancer, farm, new DoorSpec
            {
                AcceptProxyFrom = [IPNetwork.Parse("127.0.0.1/32")],
                Http = new HttpDoorSpec { AccessLog = new AccessLogSpec(log, AccessLogFormat.Json) },
            });
            Assert.Equal("n1200", NginxFarm.Run($"curl -sS --max-time 10 -w %{{http_code}} --haproxy-protocol -A agent/1 http://{listen}/x?y"));
        }
        var line = JsonDocument.Parse(Assert.Single(await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken))).RootElement;
        Assert.Equal(("127.0.0.1", "/x?y", "agent/1", 200, 2, "n1"), (line.GetProperty("client").GetString(), line.GetProperty("target").GetString(), line.GetProperty("agent").GetString(),
            line.GetProperty("status").GetInt32(), line.GetProperty("bytes").GetInt32(), line.GetProperty("node").GetString()));
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static async Task<PublicEndpoint> OpenAsync(HttpBalancer balancer, NginxFarm farm, DoorSpec door)
    {
        var listen = FreePort.Take();
        balancer.Publish(new RouteTable(1,
        [
            new Route
            {
                Service = "web", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null, Door = door,
                Destinations = [.. Enumerable.Range(1, farm.Count).Select(farm.Destination)],
            },
        ]));
        Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        return listen;
    }
}

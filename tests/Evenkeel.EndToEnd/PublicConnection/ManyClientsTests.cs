using System.Globalization;
using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.EndToEnd.PublicConnection.Peers;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>Clients that are slow on purpose, or very many: they are borne or ended, and all others are served meanwhile. Needs root, nginx, slowhttptest, h2load, curl.</summary>
[Collection("farm")]
[Trait("Peer", "slowhttptest")]
[Trait("Turn", "2")]
public sealed class ManyClientsTests(ITestOutputHelper output) : IDisposable
{
    private const int Slow = 1000, Idle = 10_000;
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-many-").FullName;

    [Theory]
    [InlineData("-H -i 1 -l 60", NginxFarm.Small, true)]
    [InlineData("-B -i 2 -x 8 -s 100000 -l 60", NginxFarm.Small, true)]
    // Who reads slowly is given the time for what has been sent already: longer than this test.
    [InlineData("-X -w 1 -y 2 -n 1 -z 1 -l 12", NginxFarm.Large, false)]
    public async Task SlowClients_AreEnded_OthersAreServed(string attack, string path, bool areEnded)
    {
        using var farm = new NginxFarm(1);
        await using var balancer = new HttpBalancer(new HttpBalancerOptions { RequestHeadersTimeout = TimeSpan.FromSeconds(3) });
        var listen = await OpenAsync(balancer, farm);
        var attackers = Task.Run(() => NginxFarm.Run($"slowhttptest {attack} -c {Slow} -r 500 -p 3 -g -o {directory}/slow -u http://{listen}{path}"), TestContext.Current.CancellationToken);
        int served = 0, queued = 0, queuedBefore = QueuedMegabytes();
        for (; !attackers.IsCompleted; served++, queued = int.Max(queued, QueuedMegabytes() - queuedBefore))
            Assert.Equal("n1", NginxFarm.Run($"curl -sS --max-time 5 http://{listen}/"));
        // It ends before its time when no connection is left.
        Assert.Equal(areEnded, (await attackers).Contains("No open connections left", StringComparison.Ordinal));
        var seconds = (await File.ReadAllLinesAsync(Path.Combine(directory, "slow.csv"), TestContext.Current.CancellationToken))[1..].Select(line => line.Split(',')).ToList();
        Assert.All(seconds, row => Assert.NotEqual("0", row[^1]));
        Assert.InRange(seconds.Max(row => int.Parse(row[3], CultureInfo.InvariantCulture)), Slow / 2, Slow);
        output.WriteLine($"ended after {seconds.Count} s, {served} others were served meanwhile, the kernel kept {queued} MB for all connections");
        // Both sides of the balancer, and nginx's, whose kernel is the same here. Without a limit: 2.3 MB a client, which was all there is.
        Assert.InRange(queued, 0, Slow * 3 / 2);
    }

    [Fact]
    public async Task TenThousandIdleConnections_AreKeptAndCostLittle()
    {
        using var farm = new NginxFarm(1);
        await using var balancer = new HttpBalancer();
        var listen = await OpenAsync(balancer, farm);
        // What the first requests bring about is not the connections' price.
        NginxFarm.Run($"h2load --h1 -n 2000 -c 50 http://{listen}/");
        var before = Environment.WorkingSet;
        await using var clients = PythonPeer.Start("idle_clients.py", listen.Port.ToString(CultureInfo.InvariantCulture), Idle.ToString(CultureInfo.InvariantCulture));
        await clients.SaysAsync("idle");
        var each = (Environment.WorkingSet - before) / 1024.0 / Idle;
        output.WriteLine($"{each:F1} KB of resident memory for each of {Idle} idle connections");
        Assert.InRange(each, double.MinValue, 30);
        Assert.Equal("n1", NginxFarm.Run($"curl -sS --max-time 5 http://{listen}/"));
        balancer.Publish(Table(farm, listen, 2));
        clients.Continue();
        await clients.SaysAsync("ok");
    }

    [Fact]
    public async Task ThreeThousandConnectionsAtOnce_AreAllServed()
    {
        using var farm = new NginxFarm(2);
        await using var balancer = new HttpBalancer();
        var listen = await OpenAsync(balancer, farm);
        var said = NginxFarm.Run($"h2load --h1 -n 9000 -c 3000 http://{listen}/");
        Assert.True(said.Contains("9000 succeeded, 0 failed, 0 errored, 0 timeout", StringComparison.Ordinal) && said.Contains("9000 2xx", StringComparison.Ordinal), said);
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    /// <summary>What the kernel keeps in memory for TCP, on the whole machine (<c>mem</c> in /proc/net/sockstat, in pages).</summary>
    private static int QueuedMegabytes() =>
        int.Parse(File.ReadLines("/proc/net/sockstat").First(line => line.StartsWith("TCP:", StringComparison.Ordinal)).Split(' ')[^1], CultureInfo.InvariantCulture)
        / (1024 * 1024 / Environment.SystemPageSize);

    private static async Task<PublicEndpoint> OpenAsync(HttpBalancer balancer, NginxFarm farm)
    {
        var listen = FreePort.Take();
        balancer.Publish(Table(farm, listen, 1));
        Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        return listen;
    }

    private static RouteTable Table(NginxFarm farm, PublicEndpoint listen, int version) => new(version,
    [
        new Route
        {
            Service = "web", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null, Door = DoorSpec.Default,
            Destinations = [.. Enumerable.Range(1, farm.Count).Select(farm.Destination)],
        },
    ]);
}

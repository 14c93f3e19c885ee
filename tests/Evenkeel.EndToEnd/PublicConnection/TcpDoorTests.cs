using System.Diagnostics;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>The TCP balancer between real clients and servers. Needs root, nginx, nft, curl, openssl.</summary>
[Collection("farm")]
[Trait("Peer", "nginx")]
public sealed class TcpDoorTests
{
    [Theory]
    [InlineData("kill")]
    [InlineData("cut")]
    public async Task Destination_IsLost_EveryNewConnectionIsServed(string fault)
    {
        using var farm = new NginxFarm(3);
        await using var balancer = new TcpBalancer();
        var listen = FreePort.Take();
        balancer.Publish(new RouteTable(1, [Route("web", listen, DoorSpec.Default, [.. Enumerable.Range(1, 3).Select(farm.Destination)])]));
        Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(10) };
        client.DefaultRequestHeaders.ConnectionClose = true;
        var url = new Uri($"http://{listen}/");
        var before = new HashSet<string>();
        for (var i = 0; i < 30; i++) before.Add(await client.GetStringAsync(url, TestContext.Current.CancellationToken));
        Assert.Equal(["n1", "n2", "n3"], before.Order());
        if (fault == "kill") farm.Kill(1);
        else farm.CutSilently(1);
        var slowest = TimeSpan.Zero;
        for (var i = 0; i < 200; i++)
        {
            var began = Stopwatch.GetTimestamp();
            Assert.Contains(await client.GetStringAsync(url, TestContext.Current.CancellationToken), new[] { "n2", "n3" });
            if (Stopwatch.GetElapsedTime(began) is var took && took > slowest) slowest = took;
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{fault}: slowest {slowest.TotalMilliseconds} ms");
        Assert.Contains(balancer.Snapshot().Destinations, one => one.Failures > 0 && one.Node == new NodeName("n1"));
    }

    [Fact]
    public async Task Curl_MovesALargeBody_ThroughTheDoor()
    {
        using var farm = new NginxFarm(1);
        await using var balancer = new TcpBalancer();
        var listen = FreePort.Take();
        balancer.Publish(new RouteTable(1, [Route("web", listen, DoorSpec.Default, [farm.Destination(1)])]));
        Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        var file = Path.GetTempFileName();
        await File.WriteAllBytesAsync(file, new byte[50_000_000], TestContext.Current.CancellationToken);
        try
        {
            Assert.Equal("n1", NginxFarm.Run($"curl -sS --max-time 60 -H Expect: --data-binary @{file} http://{listen}/upload"));
            // nginx answers at once and reads on: curl has gone before the last bytes are through.
            Assert.True(SpinWait.SpinUntil(() => balancer.Snapshot().Destinations.Single().BytesTo > 50_000_000, 20_000));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task OpenSslClient_ServerNames_ReachTheirOwnServersUnopened()
    {
        var directory = Directory.CreateTempSubdirectory("evenkeel-sni-").FullName;
        var servers = new List<Process>();
        try
        {
            var listen = FreePort.Take();
            var routes = new List<Route>();
            foreach (var name in new[] { "a.example", "b.example" })
            {
                var at = FreePort.Take();
                NginxFarm.Run($"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name} -keyout {directory}/{name}.key -out {directory}/{name}.crt");
                servers.Add(Process.Start(new ProcessStartInfo("openssl", ["s_server", "-accept", at.ToString(), "-cert", $"{directory}/{name}.crt", "-key", $"{directory}/{name}.key", "-www", "-quiet"]))!);
                routes.Add(Route(name[..1], listen, new DoorSpec { Sni = [name] }, [new Destination(name[..1], new NodeName("n1"), new PrivateEndpoint(at.Address, at.Port), DestinationState.Up)]));
            }
            await using var balancer = new TcpBalancer();
            balancer.Publish(new RouteTable(1, routes));
            Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
            foreach (var name in new[] { "a.example", "b.example" })
            {
                // The server may still be starting: the door holds the client until it listens.
                var seen = await AskAsync($"s_client -connect {listen} -servername {name} -tls1_3");
                Assert.Contains($"subject=CN = {name}", seen, StringComparison.Ordinal);
            }
        }
        finally
        {
            foreach (var server in servers)
            {
                if (!server.HasExited) server.Kill();
                server.Dispose();
            }
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task<string> AskAsync(string words)
    {
        using var client = Process.Start(new ProcessStartInfo("openssl", words.Split(' ')) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        client.StandardInput.Close();
        var errors = client.StandardError.ReadToEndAsync();
        var output = await client.StandardOutput.ReadToEndAsync();
        await client.WaitForExitAsync();
        return output + await errors;
    }

    private static Route Route(string service, PublicEndpoint listen, DoorSpec door, IReadOnlyList<Destination> destinations) => new()
    {
        Service = service, Vip = "front", Listen = listen, Protocol = PublishProtocol.Tcp, Balance = BalancePolicy.RoundRobin, Health = null, Door = door, Destinations = destinations,
    };
}

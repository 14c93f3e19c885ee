using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>The main promise over real servers: a destination is lost under load and no idempotent request fails. Needs root, nginx, nft, curl.</summary>
[Collection("farm")]
[Trait("Peer", "nginx")]
public sealed class BackendFaultTests
{
    private static readonly HealthSpec checks = new() { Kind = ProbeKind.Http, Path = "/healthz" };

    [Theory]
    [InlineData("kill", true)]
    [InlineData("stop", true)]
    [InlineData("cut", true)]
    [InlineData("kill", false)]
    [InlineData("cut", false)]
    public async Task Destination_IsLostUnderLoad_NoIdempotentRequestFails(string fault, bool checkedByHttp)
    {
        using var farm = new NginxFarm(3);
        await using var balancer = new HttpBalancer();
        var listen = await OpenAsync(balancer, farm, checkedByHttp ? checks : null);
        var failures = new ConcurrentBag<string>();
        var served = 0;
        var slowest = 0L;
        using var halfway = new SemaphoreSlim(0);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(10) };
        var load = Enumerable.Range(0, 24).Select(async worker =>
        {
            for (var i = 0; i < 400; i++)
            {
                var began = Stopwatch.GetTimestamp();
                try
                {
                    using var request = new HttpRequestMessage(i % 8 == 0 ? HttpMethod.Put : HttpMethod.Get, $"http://{listen}/");
                    if (i % 8 == 0) request.Content = new StringContent("a small document");
                    using var answer = await client.SendAsync(request);
                    if (answer.StatusCode != HttpStatusCode.OK) failures.Add($"{worker}/{i}: {answer.StatusCode}");
                }
                catch (Exception failure) when (failure is HttpRequestException or OperationCanceledException)
                {
                    failures.Add($"{worker}/{i}: {failure.Message}");
                }
                var took = (long)Stopwatch.GetElapsedTime(began).TotalMilliseconds;
                InterlockedMax(ref slowest, took);
                if (Interlocked.Increment(ref served) == 3000) halfway.Release();
            }
        }).ToList();
        await halfway.WaitAsync(TestContext.Current.CancellationToken);
        switch (fault)
        {
            case "kill": farm.Kill(1); break;
            case "stop": farm.Stop(1); break;
            default: farm.CutSilently(1); break;
        }
        await Task.WhenAll(load);
        TestContext.Current.TestOutputHelper?.WriteLine($"{fault}, checked {checkedByHttp}: {served} requests, slowest {slowest} ms");
        Assert.Empty(failures);
        Assert.Contains(balancer.Snapshot().Destinations, one => one.Failures > 0 && one.Node == new NodeName("n1"));
    }

    [Fact]
    public async Task Curl_UploadsWithExpect_IsServed()
    {
        using var farm = new NginxFarm(1);
        await using var balancer = new HttpBalancer();
        var listen = await OpenAsync(balancer, farm, checks);
        var file = Path.GetTempFileName();
        await File.WriteAllBytesAsync(file, new byte[5_000_000], TestContext.Current.CancellationToken);
        try
        {
            Assert.Equal("n1", NginxFarm.Run($"curl -sS --max-time 30 -H Expect:100-continue --data-binary @{file} http://{listen}/upload"));
            Assert.Equal("n1", NginxFarm.Run($"curl -sS --max-time 30 -H Transfer-Encoding:chunked -T {file} http://{listen}/upload"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static async Task<PublicEndpoint> OpenAsync(HttpBalancer balancer, NginxFarm farm, HealthSpec? health)
    {
        var listen = FreePort.Take();
        var count = farm.Count;
        balancer.Publish(new RouteTable(1,
        [
            new Route
            {
                Service = "web", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = health,
                Destinations = [.. Enumerable.Range(1, count).Select(farm.Destination)],
            },
        ]));
        Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), CancellationToken.None));
        return listen;
    }

    private static void InterlockedMax(ref long target, long value)
    {
        for (var seen = Volatile.Read(ref target); value > seen;)
        {
            var before = Interlocked.CompareExchange(ref target, value, seen);
            if (before == seen) return;
            seen = before;
        }
    }
}

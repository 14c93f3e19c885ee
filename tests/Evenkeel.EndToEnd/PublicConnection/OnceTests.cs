using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.EndToEnd.PublicConnection.Peers;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>Orders are placed at instances that are killed in the middle of them, and that keep a list of all that ever reached them.</summary>
[Trait("Peer", "python3")]
public sealed class OnceTests : IAsyncDisposable
{
    private const int Instances = 3, Port = 8080, Kills = 36, Customers = 24, MostBytes = 48 * 1024;
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-once-").FullName;
    private readonly PythonPeer?[] servers = new PythonPeer?[Instances];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Post_InstancesKilledInTheMiddleOfIt_ReachesAtMostOne()
    {
        for (var number = 0; number < Instances; number++) await StartAsync(number);
        await using var balancer = new HttpBalancer();
        var listen = FreePort.Take();
        balancer.Publish(new RouteTable(1,
        [
            new Route
            {
                Service = "shop", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices,
                Health = new HealthSpec { Kind = ProbeKind.Http, Path = "/healthz" },
                Destinations = [.. Enumerable.Range(0, Instances).Select(number => new Destination("shop", new NodeName($"n{number + 1}"), new PrivateEndpoint(Address(number), Port), DestinationState.Up))],
            },
        ]));
        Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), Token));
        var answers = new ConcurrentDictionary<string, HttpStatusCode>();
        using var closing = new CancellationTokenSource();
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var customers = Enumerable.Range(0, Customers).Select(customer => Task.Run(async () =>
        {
            var size = new Random(customer);
            for (var number = 0; !closing.IsCancellationRequested; number++)
            {
                // What may be repeated is asked too, so that it is seen to be: the kills must be such as bring repetitions.
                using var request = new HttpRequestMessage(number % 4 == 0 ? HttpMethod.Put : HttpMethod.Post, $"http://{listen}/{customer}-{number}");
                request.Content = new ByteArrayContent(new byte[size.Next(MostBytes)]);
                using var answer = await client.SendAsync(request, Token);
                answers[$"{request.Method} {request.RequestUri!.AbsolutePath}"] = answer.StatusCode;
            }
        }, Token)).ToList();
        for (var kill = 0; kill < Kills; kill++)
        {
            var before = answers.Count;
            while (answers.Count < before + Customers && !customers.Exists(one => one.IsFaulted)) await Task.Delay(5, Token);
            servers[kill % Instances]!.Kill();
            await StartAsync(kill % Instances);
        }
        await closing.CancelAsync();
        await Task.WhenAll(customers);

        var received = Enumerable.Range(0, Instances).SelectMany(number => File.ReadLines(List(number))).Where(line => !line.StartsWith("GET", StringComparison.Ordinal)).CountBy(line => line).ToDictionary();
        var posts = answers.Where(one => one.Key.StartsWith("POST", StringComparison.Ordinal)).ToList();
        var puts = answers.Where(one => one.Key.StartsWith("PUT", StringComparison.Ordinal)).ToList();
        var hit = posts.Count(one => one.Value == HttpStatusCode.BadGateway && received.ContainsKey(one.Key));
        var repeated = puts.Count(one => received.GetValueOrDefault(one.Key) > 1);
        TestContext.Current.TestOutputHelper?.WriteLine($"{Kills} kills: {posts.Count} POSTs, {posts.Count(one => one.Value != HttpStatusCode.OK)} failed, {hit} of these had reached an instance; {puts.Count} PUTs, {repeated} reached two");
        Assert.DoesNotContain(posts, one => received.GetValueOrDefault(one.Key) > 1);
        Assert.DoesNotContain(posts, one => one.Value == HttpStatusCode.OK && !received.ContainsKey(one.Key));
        Assert.All(posts, one => Assert.Contains(one.Value, new[] { HttpStatusCode.OK, HttpStatusCode.BadGateway }));
        Assert.All(puts, one => Assert.Equal(HttpStatusCode.OK, one.Value));
        Assert.True(hit >= Kills / 2 && repeated > 0, "the kills met too few requests to prove anything");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in servers)
            if (server is not null) await server.DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    // Not of the ports that the kernel gives to clients: one that knocks at a killed instance could get that very port, and meet itself.
    private static IPAddress Address(int number) => new([127, (byte)(100 + Environment.ProcessId / 250 % 100), (byte)(Environment.ProcessId % 250), (byte)(number + 1)]);

    private string List(int number) => Path.Combine(directory, number.ToString(CultureInfo.InvariantCulture));

    private async Task StartAsync(int number)
    {
        if (servers[number] is { } former) await former.DisposeAsync();
        servers[number] = PythonPeer.Start("receiving_server.py", Address(number).ToString(), Port.ToString(CultureInfo.InvariantCulture), List(number));
        await servers[number]!.SaysAsync("serving");
    }
}

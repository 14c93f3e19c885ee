using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>A balancer with one open door on loopback, and a client in front of it.</summary>
internal sealed class OpenDoor : IAsyncDisposable
{
    // The time limit is for a busy machine: a good instance that answers late is not sick.
    public static readonly HealthSpec Checks = new() { Kind = ProbeKind.Http, Path = "/healthz", Every = TimeSpan.FromMilliseconds(50), Timeout = TimeSpan.FromSeconds(10) };
    private long version;

    private OpenDoor(HttpBalancer balancer, PublicEndpoint listen)
    {
        Balancer = balancer;
        Listen = listen;
        Client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://{listen}"), Timeout = TimeSpan.FromSeconds(20) };
    }

    public HttpBalancer Balancer { get; }
    public PublicEndpoint Listen { get; }
    public HttpClient Client { get; }
    public BalancePolicy Policy { get; init; } = BalancePolicy.RoundRobin;
    public HealthSpec? Health { get; init; }
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    public static async Task<OpenDoor> ToAsync(HealthSpec? health, HttpBalancerOptions? options, params Destination[] destinations)
    {
        var door = new OpenDoor(new HttpBalancer(options), new PublicEndpoint(IPAddress.Loopback, FreePort())) { Health = health };
        door.Publish(destinations);
        Assert.Null(await door.Balancer.OpenAsync(door.Listen, TimeSpan.FromSeconds(5), CancellationToken.None));
        return door;
    }

    public static Task<OpenDoor> ToAsync(params Destination[] destinations) => ToAsync(null, null, destinations);

    public void Publish(params Destination[] destinations) => Balancer.Publish(new RouteTable(++version,
    [
        new Route { Service = "web", Vip = "front", Listen = Listen, Protocol = PublishProtocol.Http, Balance = Policy, Health = Health, DrainTimeout = DrainTimeout, Destinations = destinations },
    ]));

    public Task<string> GetAsync(string path) => Client.GetStringAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Balancer.DisposeAsync();
    }

    public static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}

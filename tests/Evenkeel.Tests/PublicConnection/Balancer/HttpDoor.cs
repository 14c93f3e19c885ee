using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>A balancer with one plain HTTP door whose spec is the test's.</summary>
internal sealed class HttpDoor : IAsyncDisposable
{
    private long version;

    public HttpDoor(HttpBalancerOptions options) => Balancer = new HttpBalancer(options);

    public HttpBalancer Balancer { get; }
    public BalancePolicy Policy { get; set; } = BalancePolicy.RoundRobin;
    public PublicEndpoint Listen { get; } = new(IPAddress.Loopback, OpenDoor.FreePort());

    public static async Task<HttpDoor> OpenAsync(DoorSpec spec, Action<string>? tell, params Destination[] destinations)
    {
        var door = new HttpDoor(new HttpBalancerOptions { Tell = tell ?? (static _ => { }) });
        door.Publish(spec, destinations);
        await door.OpenAsync();
        return door;
    }

    public async Task OpenAsync() => Assert.Null(await Balancer.OpenAsync(Listen, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));

    public void Publish(DoorSpec spec, params Destination[] destinations) => Balancer.Publish(new RouteTable(++version,
    [
        new Route { Service = "web", Vip = "front", Listen = Listen, Protocol = PublishProtocol.Http, Balance = Policy, Health = null, Door = spec, Destinations = destinations },
    ]));

    /// <summary>One connection that sends these bytes; all that comes back until its end.</summary>
    public async Task<string> SayAsync(byte[] bytes)
    {
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(Listen.ToIPEndPoint(), TestContext.Current.CancellationToken);
        await client.SendAsync(bytes, TestContext.Current.CancellationToken);
        using var received = new MemoryStream();
        try
        {
            using var stream = new NetworkStream(client);
            await stream.CopyToAsync(received, TestContext.Current.CancellationToken);
        }
        catch (IOException) { }
        return Encoding.UTF8.GetString(received.ToArray());
    }

    public Task<string> GetAsync(string target, params string[] headers) =>
        SayAsync(Encoding.UTF8.GetBytes($"GET {target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{string.Concat(headers.Select(one => one + "\r\n"))}\r\n"));

    public ValueTask DisposeAsync() => Balancer.DisposeAsync();
}

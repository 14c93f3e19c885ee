using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Tcp;

/// <summary>A TCP balancer with one open door on loopback.</summary>
internal sealed class TcpDoor : IAsyncDisposable
{
    private long version;

    private TcpDoor(bool portable, TimeSpan? patience) =>
        Balancer = new TcpBalancer(new TcpBalancerOptions { Portable = portable, Threads = 2, ConnectTimeout = patience ?? new TcpBalancerOptions().ConnectTimeout });

    public TcpBalancer Balancer { get; }
    public PublicEndpoint Listen { get; } = new(IPAddress.Loopback, OpenDoor.FreePort());
    public bool ToPrimary { get; init; }
    public DoorSpec Door { get; set; } = DoorSpec.Default;

    public static Task<TcpDoor> OpenAsync(bool portable, DoorSpec? door, bool toPrimary, params Destination[] destinations) => OpenAsync(portable, door, toPrimary, null, destinations);

    /// <param name="patience">For an instance that does not answer; null: the usual.</param>
    public static async Task<TcpDoor> OpenAsync(bool portable, DoorSpec? door, bool toPrimary, TimeSpan? patience, params Destination[] destinations)
    {
        var made = new TcpDoor(portable, patience) { ToPrimary = toPrimary, Door = door ?? DoorSpec.Default };
        made.Publish(destinations);
        Assert.Null(await made.Balancer.OpenAsync(made.Listen, TimeSpan.FromSeconds(5), CancellationToken.None));
        return made;
    }

    public void Publish(params Destination[] destinations) => Balancer.Publish(new RouteTable(++version, [Route("db", Door, destinations)]));

    public void Publish(params Route[] routes) => Balancer.Publish(new RouteTable(++version, routes));

    public Route Route(string service, DoorSpec door, params Destination[] destinations) => new()
    {
        Service = service, Vip = "front", Listen = Listen, Protocol = PublishProtocol.Tcp, Balance = BalancePolicy.RoundRobin, Health = null,
        ToPrimary = ToPrimary, Door = door, Destinations = destinations,
    };

    public async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(Listen.ToIPEndPoint(), TestContext.Current.CancellationToken);
        return socket;
    }

    /// <summary>One line; null at the end. A reset throws.</summary>
    public static async Task<string?> LineAsync(Socket socket)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(20));
        var line = new List<byte>();
        var one = new byte[1];
        while (await socket.ReceiveAsync(one, patience.Token) == 1)
        {
            if (one[0] == '\n') return Encoding.ASCII.GetString([.. line]);
            line.Add(one[0]);
        }
        return null;
    }

    /// <summary>The name of the instance that a new connection reaches.</summary>
    public async Task<string?> WhoAsync()
    {
        using var socket = await ConnectAsync();
        return await LineAsync(socket);
    }

    public ValueTask DisposeAsync() => Balancer.DisposeAsync();
}

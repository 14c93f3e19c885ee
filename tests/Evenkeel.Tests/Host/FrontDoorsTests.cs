using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Evenkeel.Tests.PublicConnection.Balancer;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>Doors at ports that other programs have.</summary>
public sealed class FrontDoorsTests : IAsyncDisposable
{
    private readonly HttpBalancer http = new();
    private readonly TcpBalancer tcp = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly PublicEndpoint free = new(IPAddress.Loopback, OpenDoor.FreePort()), taken = new(IPAddress.Loopback, OpenDoor.FreePort());

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await http.DisposeAsync();
        await tcp.DisposeAsync();
        stopping.Dispose();
    }

    [Theory]
    [InlineData(PublishProtocol.Http)]
    [InlineData(PublishProtocol.Tcp)]
    public async Task Publish_AnotherProgramHasAPort_TheNodeIsReadyAndTheDoorOpensWhenItCan(PublishProtocol protocol)
    {
        var doors = new FrontDoors(http, tcp, realAddresses: true, static _ => { }, stopping.Token);
        var other = Listening(IPAddress.Any, taken.Port);
        doors.Publish(Table(1, protocol, ("front", free), ("back", taken)));
        await UntilAsync(() => doors.Ready);
        var shut = Assert.Single(doors.Shut);
        Assert.Equal("back", shut.Vip);
        Assert.Contains($"{taken}", shut.What, StringComparison.Ordinal);
        Assert.Contains($"(process {Environment.ProcessId}) probably has it", shut.What, StringComparison.Ordinal);
        Assert.True(await AcceptsAsync(free));

        other.Dispose();
        await UntilAsync(() => doors.Shut.Count == 0);
        Assert.True(await AcceptsAsync(taken));
    }

    [Fact]
    public async Task Publish_WithoutTheDoorThatCouldNotBeOpened_ForgetsIt()
    {
        var doors = new FrontDoors(http, tcp, realAddresses: true, static _ => { }, stopping.Token);
        using var other = Listening(IPAddress.Any, taken.Port);
        doors.Publish(Table(1, PublishProtocol.Http, ("front", taken)));
        await UntilAsync(() => doors.Shut.Count == 1);
        doors.Publish(Table(2, PublishProtocol.Http, ("front", free)));
        Assert.Empty(doors.Shut);
        await UntilAsync(() => doors.Ready);
    }

    [Fact]
    public async Task Open_WhereVipsAreListeners_IsTriedAgainToo()
    {
        var doors = new FrontDoors(http, tcp, realAddresses: false, static _ => { }, stopping.Token);
        var other = Listening(IPAddress.Loopback, taken.Port);
        doors.Publish(Table(1, PublishProtocol.Http, ("front", taken)));
        doors.Open(new ListenerEnforcement(taken.Address.ToString(), [taken.Port]));
        // Longer than the patience with a former owner's listener.
        await Task.Delay(TimeSpan.FromSeconds(2.5), TestContext.Current.CancellationToken);
        other.Dispose();
        await UntilAsync(() => http.Snapshot().Doors.Count == 1);
    }

    [Theory]
    [InlineData("   0: 00000000:238C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0", "4711")]
    [InlineData("   0: 0A7100CB:238C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0", "4711")]
    [InlineData("   0: 0B7100CB:238C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0", null)]
    [InlineData("   0: 00000000:238D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0", null)]
    [InlineData("   0: 00000000:238C 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0", null)]
    [InlineData("   0: 00000000000000000000000000000000:238C 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0", "4711")]
    [InlineData("   0: 0000000000000000FFFF00000A7100CB:238C 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0", "4711")]
    [InlineData("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", null)]
    public void Inode_LineOfTheKernel_IsReadWhereItListensAtTheDoor(string line, string? inode) =>
        Assert.Equal(inode, PortHolder.Inode(line, IPAddress.Parse("203.0.113.10"), 9100));

    private static RouteTable Table(long version, PublishProtocol protocol, params (string Vip, PublicEndpoint Listen)[] doors) => new(version,
        [.. doors.Select(door => new Route { Service = "web", Vip = door.Vip, Listen = door.Listen, Protocol = protocol, Balance = BalancePolicy.RoundRobin, Health = null, Destinations = [] })]);

    private static Socket Listening(IPAddress address, int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, port));
        socket.Listen();
        return socket;
    }

    private static async Task<bool> AcceptsAsync(PublicEndpoint door)
    {
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(door.ToIPEndPoint(), TestContext.Current.CancellationToken);
        return client.Connected;
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        for (var clock = Stopwatch.StartNew(); !holds(); await Task.Delay(10, TestContext.Current.CancellationToken))
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), "it did not happen");
        }
    }
}

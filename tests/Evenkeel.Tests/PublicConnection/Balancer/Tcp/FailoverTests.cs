using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Tcp;

public sealed class FailoverTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RefusedConnection_AnotherInstanceThere_ClientNoticesNothing(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var b = new EchoInstance("b");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, a.Destination(), b.Destination());
        a.StopListening();
        for (var i = 0; i < 10; i++) Assert.Equal("b", await door.WhoAsync());
        var lost = door.Balancer.Snapshot().Destinations.Single(one => one.Node.Value == "a");
        Assert.True(lost.Failures >= 1);
        Assert.Equal(0, lost.Open);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NoPrimary_OneComes_WaitingClientReachesIt(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, null, true, []);
        using var client = await door.ConnectAsync();
        var line = TcpDoor.LineAsync(client);
        Assert.True(SpinWait.SpinUntil(() => door.Balancer.Connections == 1, 10_000));
        door.Publish(a.Destination());
        Assert.Equal("a", await line);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NewPrimary_OldConnections_AreResetAndNewOnesReachIt(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var b = new EchoInstance("b");
        await using var door = await TcpDoor.OpenAsync(portable, null, true, a.Destination());
        using var client = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        door.Publish(b.Destination());
        await Assert.ThrowsAsync<SocketException>(() => TcpDoor.LineAsync(client));
        Assert.Equal("b", await door.WhoAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task LostInstance_ClientIsStillBeingConnected_ReachesTheNewPrimary(bool portable)
    {
        // Its queue is full: what asks for a connection is not answered.
        using var deaf = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        deaf.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        deaf.Listen(0);
        var address = (IPEndPoint)deaf.LocalEndPoint!;
        using var first = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await first.ConnectAsync(address, TestContext.Current.CancellationToken);
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, null, true, TimeSpan.FromMinutes(1), a.Destination() with { Node = new("deaf"), Endpoint = new(address.Address, address.Port) });
        using var client = await door.ConnectAsync();
        Assert.True(SpinWait.SpinUntil(() => door.Balancer.Snapshot().Destinations.Single().Open == 1, 10_000));
        door.Publish(a.Destination());
        Assert.Equal("a", await TcpDoor.LineAsync(client));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task FormerPrimary_WithAnotherEntryToAll_LosesItsConnectionsToo(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, null, true, []);
        Route[] Entries(params Destination[] destinations)
        {
            var entry = door.Route("db", door.Door, destinations);
            return [entry, entry with { Listen = new(entry.Listen.Address, OpenDoor.FreePort()), ToPrimary = false }];
        }
        door.Publish(Entries(a.Destination()));
        using var client = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        door.Publish(Entries());
        await Assert.ThrowsAsync<SocketException>(() => TcpDoor.LineAsync(client));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task LostInstance_ItsConnections_AreResetAndOthersGoOn(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var b = new EchoInstance("b");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, a.Destination(), b.Destination());
        using var first = await door.ConnectAsync();
        using var second = await door.ConnectAsync();
        var (one, other) = (await TcpDoor.LineAsync(first), await TcpDoor.LineAsync(second));
        Assert.NotEqual(one, other);
        door.Publish(a.Destination(one == "a" ? DestinationState.Down : DestinationState.Up), b.Destination(one == "b" ? DestinationState.Down : DestinationState.Up));
        await Assert.ThrowsAsync<SocketException>(() => TcpDoor.LineAsync(first));
        await second.SendAsync("x\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("x", await TcpDoor.LineAsync(second));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task DrainingInstance_OldConnectionGoesOn_NewOnesGoElsewhere(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var b = new EchoInstance("b");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, a.Destination());
        using var client = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        door.Publish(a.Destination(DestinationState.Draining), b.Destination());
        for (var i = 0; i < 5; i++) Assert.Equal("b", await door.WhoAsync());
        await client.SendAsync("x\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("x", await TcpDoor.LineAsync(client));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClosedDoor_PortIsFreeAndCanOpenAgain(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, a.Destination());
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("a", await door.WhoAsync());
            await door.Balancer.CloseAsync(door.Listen);
            await Assert.ThrowsAsync<SocketException>(door.ConnectAsync);
            Assert.Null(await door.Balancer.OpenAsync(door.Listen, TimeSpan.Zero, TestContext.Current.CancellationToken));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task FullInstance_ClientWaits_UntilAPlaceIsFree(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { MaxPerDestination = 1 }, false, a.Destination());
        var first = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(first));
        using var second = await door.ConnectAsync();
        var waiting = TcpDoor.LineAsync(second);
        Assert.True(SpinWait.SpinUntil(() => door.Balancer.Connections == 2, 10_000));
        Assert.Equal(1, a.Accepted);
        first.Dispose();
        Assert.Equal("a", await waiting);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task FullQueue_NextClient_IsResetAtOnce(bool portable)
    {
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { MaxWaiting = 0 }, false, []);
        await Assert.ThrowsAsync<SocketException>(door.WhoAsync);
        Assert.Equal(1, Assert.Single(door.Balancer.Snapshot().Doors).Unserved);
    }
}

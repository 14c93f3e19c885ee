using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Tcp;

public sealed class DoorSpecTests
{
    private static readonly IPNetwork loopback = IPNetwork.Parse("127.0.0.0/8");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SendProxy_Version1_InstanceLearnsTheClient(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { SendProxy = ProxyProtocol.V1 }, false, a.Destination());
        using var client = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        Assert.Equal($"PROXY TCP4 127.0.0.1 127.0.0.1 {((IPEndPoint)client.LocalEndPoint!).Port} {door.Listen.Port}\r", await TcpDoor.LineAsync(client));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AcceptProxy_TrustedPeer_ItsWordIsPassedOn(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { SendProxy = ProxyProtocol.V1, AcceptProxyFrom = [loopback] }, false, a.Destination());
        using var client = await door.ConnectAsync();
        await client.SendAsync("PROXY TCP4 203.0.113.9 "u8.ToArray(), TestContext.Current.CancellationToken);
        await client.SendAsync("198.51.100.1 4711 443\r\nhello\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        // The family is the same, so the announced client stands in the header that leaves.
        Assert.Equal($"PROXY TCP4 203.0.113.9 127.0.0.1 4711 {door.Listen.Port}\r", await TcpDoor.LineAsync(client));
        Assert.Equal("hello", await TcpDoor.LineAsync(client));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AcceptProxy_TrustedPeerWithoutHeader_IsReset(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { AcceptProxyFrom = [loopback] }, false, a.Destination());
        using var client = await door.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<SocketException>(() => TcpDoor.LineAsync(client));
        Assert.Equal(0, a.Accepted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Deny_Client_IsReset(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { Deny = [loopback] }, false, a.Destination());
        await Assert.ThrowsAsync<SocketException>(door.WhoAsync);
        door.Door = new DoorSpec { Allow = [loopback] };
        door.Publish(a.Destination());
        Assert.Equal("a", await door.WhoAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ConnectionsPerAddress_OneTooMany_IsResetUntilAnotherLeaves(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { MaxConnectionsPerAddress = 1 }, false, a.Destination());
        var first = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(first));
        await Assert.ThrowsAsync<SocketException>(door.WhoAsync);
        first.Dispose();
        Assert.True(SpinWait.SpinUntil(() => door.Balancer.Connections == 0, 10_000));
        Assert.Equal("a", await door.WhoAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Rate_BurstUsedUp_ClientIsReset(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, new DoorSpec { RatePerAddress = 0.001, RateBurst = 2 }, false, a.Destination());
        Assert.Equal("a", await door.WhoAsync());
        Assert.Equal("a", await door.WhoAsync());
        await Assert.ThrowsAsync<SocketException>(door.WhoAsync);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sni_SharedPort_NameChoosesTheService(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var b = new EchoInstance("b");
        await using var rest = new EchoInstance("rest");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, []);
        door.Publish(
            door.Route("a", new DoorSpec { Sni = ["a.example"] }, a.Destination(service: "a")),
            door.Route("b", new DoorSpec { Sni = ["*.b.example"] }, b.Destination(service: "b")),
            door.Route("rest", DoorSpec.Default, rest.Destination(service: "rest")));
        foreach (var (name, expected) in new[] { ("a.example", a), ("www.B.example", b), ("else.example", rest), ("b.example", rest) })
        {
            var before = expected.Accepted;
            using var client = await door.ConnectAsync();
            using var tls = new SslStream(new NetworkStream(client));
            // The instance speaks no TLS: what counts is whom the hello reached.
            await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync(name));
            Assert.Equal(before + 1, expected.Accepted);
        }
    }

    [Fact]
    public async Task SourceHash_SameClient_SameInstance()
    {
        await using var a = new EchoInstance("a");
        await using var b = new EchoInstance("b");
        await using var door = await TcpDoor.OpenAsync(false, null, false, []);
        var route = door.Route("db", DoorSpec.Default, a.Destination(), b.Destination()) with { Balance = BalancePolicy.SourceHash };
        door.Publish(route);
        var owner = await door.WhoAsync();
        for (var i = 0; i < 10; i++) Assert.Equal(owner, await door.WhoAsync());
        door.Publish(route with { Destinations = [owner == "a" ? b.Destination() : a.Destination()] });
        Assert.NotEqual(owner, await door.WhoAsync());
    }
}

using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

public sealed class DoorTests
{
    [Fact]
    public async Task Close_WhileARequestRuns_FreesThePortAndLetsItEnd()
    {
        await using var instance = new ScriptedInstance("one");
        var arrived = new TaskCompletionSource();
        var finish = new TaskCompletionSource();
        instance.Answer = async _ =>
        {
            arrived.TrySetResult();
            await finish.Task;
            return "one";
        };
        await using var door = await OpenDoor.ToAsync(null, new HttpBalancerOptions { CloseGrace = TimeSpan.FromSeconds(20) }, instance.Destination());
        var running = door.GetAsync("/");
        await arrived.Task.WaitAsync(TestContext.Current.CancellationToken);
        await door.Balancer.CloseAsync(door.Listen);
        await using var successor = new HttpBalancer();
        Assert.Null(await successor.OpenAsync(door.Listen, TimeSpan.Zero, CancellationToken.None));
        finish.SetResult();
        Assert.Equal("one", await running);
    }

    [Fact]
    public async Task Close_ConnectionsAreIdle_ClosesThem()
    {
        await using var instance = new ScriptedInstance("one");
        await using var door = await OpenDoor.ToAsync(null, new HttpBalancerOptions { CloseGrace = TimeSpan.FromSeconds(20) }, instance.Destination());
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(door.Listen.ToIPEndPoint(), TestContext.Current.CancellationToken);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        var buffer = new byte[4096];
        Assert.NotEqual(0, await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken));
        await door.Balancer.CloseAsync(door.Listen);
        while (await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken) != 0) { }
    }

    [Fact]
    public async Task Quiet_WhileARequestRuns_EndsWhenThatIsAnsweredAndItsConnectionClosed()
    {
        await using var instance = new ScriptedInstance("one");
        var arrived = new TaskCompletionSource();
        var finish = new TaskCompletionSource();
        instance.Answer = async _ =>
        {
            arrived.TrySetResult();
            await finish.Task;
            return "one";
        };
        await using var door = await OpenDoor.ToAsync(instance.Destination());
        using var client = await AskAsync(door);
        await arrived.Task.WaitAsync(TestContext.Current.CancellationToken);
        var quiet = door.Balancer.QuietAsync(door.Listen, TimeSpan.FromSeconds(30));
        Assert.False(quiet.IsCompleted);
        finish.SetResult();
        Assert.Contains("one", await ReadToEndAsync(client), StringComparison.Ordinal);
        await quiet.WaitAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Quiet_IdleConnection_IsClosed()
    {
        await using var instance = new ScriptedInstance("one");
        await using var door = await OpenDoor.ToAsync(instance.Destination());
        using var client = await AskAsync(door);
        Assert.NotEqual(0, await client.ReceiveAsync(new byte[4096], TestContext.Current.CancellationToken));
        await door.Balancer.QuietAsync(door.Listen, TimeSpan.FromSeconds(30));
        await ReadToEndAsync(client);
    }

    [Fact]
    public async Task Quiet_RequestNeverEnds_IsOverInTime()
    {
        await using var instance = new ScriptedInstance("one");
        var finish = new TaskCompletionSource();
        instance.Answer = async _ =>
        {
            await finish.Task;
            return "one";
        };
        await using var door = await OpenDoor.ToAsync(instance.Destination());
        using var client = await AskAsync(door);
        await door.Balancer.QuietAsync(door.Listen, TimeSpan.FromMilliseconds(50));
        finish.SetResult();
    }

    [Fact]
    public async Task Quiet_NewConnection_IsMadeOnceTheDoorIsReopened()
    {
        if (!OperatingSystem.IsLinux()) return;
        await using var instance = new ScriptedInstance("one");
        await using var door = await OpenDoor.ToAsync(instance.Destination());
        await door.Balancer.QuietAsync(door.Listen, TimeSpan.FromSeconds(30));
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        // On loopback a handshake is done, or refused, within the call.
        client.Blocking = false;
        Assert.Throws<SocketException>(() => Connect(client, door));
        Assert.False(client.Poll(TimeSpan.FromMilliseconds(50), SelectMode.SelectWrite));
        door.Balancer.Reopen(door.Listen);
        // Its kernel asks again by itself.
        Assert.True(client.Poll(TimeSpan.FromSeconds(10), SelectMode.SelectWrite));
        client.Blocking = true;
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        var answer = new byte[4096];
        var length = await client.ReceiveAsync(answer, TestContext.Current.CancellationToken);
        Assert.DoesNotContain("Connection: close", System.Text.Encoding.ASCII.GetString(answer, 0, length), StringComparison.OrdinalIgnoreCase);
    }

    private static void Connect(Socket client, OpenDoor door) => client.Connect(door.Listen.ToIPEndPoint());

    private static async Task<Socket> AskAsync(OpenDoor door)
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(door.Listen.ToIPEndPoint(), TestContext.Current.CancellationToken);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        return client;
    }

    private static async Task<string> ReadToEndAsync(Socket client)
    {
        var all = new MemoryStream();
        var buffer = new byte[4096];
        while (await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken) is > 0 and var length) all.Write(buffer, 0, length);
        return System.Text.Encoding.ASCII.GetString(all.ToArray());
    }

    [Fact]
    public async Task Open_AnotherListensThere_SaysWhyNot()
    {
        await using var door = await OpenDoor.ToAsync();
        await using var rival = new HttpBalancer();
        Assert.Contains("cannot listen", await rival.OpenAsync(door.Listen, TimeSpan.Zero, CancellationToken.None), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_AddressIsNotOnThisMachine_IsBoundAhead()
    {
        if (!OperatingSystem.IsLinux()) return;
        await using var balancer = new HttpBalancer();
        Assert.Null(await balancer.OpenAsync(new PublicEndpoint(IPAddress.Parse("203.0.113.10"), OpenDoor.FreePort()), TimeSpan.Zero, CancellationToken.None));
        Assert.Null(await balancer.OpenAsync(new PublicEndpoint(IPAddress.Parse("2001:db8::10"), OpenDoor.FreePort()), TimeSpan.Zero, CancellationToken.None));
    }

    [Fact]
    public async Task Headers_BeyondAscii_ArriveAsTheyWereSent()
    {
        await using var instance = new ScriptedInstance("one");
        await using var door = await HttpDoor.OpenAsync(DoorSpec.Default, null, instance.Destination());
        // The instance reads and writes bytes as characters: what it saw are the UTF-8 bytes of the letter.
        Assert.Contains("200 OK", await door.GetAsync("/x", "X-Asked: caf\u00e9"), StringComparison.Ordinal);
        Assert.Equal("caf\u00c3\u00a9", Assert.Single(instance.To("/x")).Headers["X-Asked"]);
        instance.Answer = seen => Task.FromResult<string?>("!200 OK\r\nX-Said: " + seen.Headers["X-Asked"]);
        Assert.Contains("X-Said: caf\u00e9", await door.GetAsync("/x", "X-Asked: caf\u00e9"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_ClientClaimsToBeAnother_ClaimIsDropped()
    {
        await using var instance = new ScriptedInstance("one");
        await using var door = await OpenDoor.ToAsync(instance.Destination());
        using var request = new HttpRequestMessage(HttpMethod.Get, "/who");
        foreach (var name in new[] { "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP" }) request.Headers.Add(name, "evil");
        request.Headers.Add("Connection", "X-Secret");
        request.Headers.Add("X-Secret", "hop by hop");
        request.Headers.Host = "shop.example";
        using var answer = await door.Client.SendAsync(request, TestContext.Current.CancellationToken);
        var seen = Assert.Single(instance.To("/who")).Headers;
        Assert.DoesNotContain("evil", string.Join(' ', seen.Values), StringComparison.Ordinal);
        Assert.Equal("127.0.0.1", seen["X-Forwarded-For"]);
        Assert.Equal("http", seen["X-Forwarded-Proto"]);
        Assert.Equal("shop.example", seen["X-Forwarded-Host"]);
        Assert.Equal("shop.example", seen["Host"]);
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded: c\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")]
    public async Task Request_FramingIsAmbiguous_NeverReachesADestinationAsTwo(string attack)
    {
        await using var instance = new ScriptedInstance("one");
        await using var door = await OpenDoor.ToAsync(instance.Destination());
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(door.Listen.ToIPEndPoint(), TestContext.Current.CancellationToken);
        await client.SendAsync(System.Text.Encoding.ASCII.GetBytes(attack), TestContext.Current.CancellationToken);
        var buffer = new byte[4096];
        Assert.NotEqual(0, await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken));
        client.Shutdown(SocketShutdown.Send);
        while (await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken) != 0) { }
        Assert.Empty(instance.To("/smuggled"));
        Assert.All(instance.Requests, request => Assert.False(request.Headers.ContainsKey("Content-Length") && request.Headers.ContainsKey("Transfer-Encoding")));
    }
}

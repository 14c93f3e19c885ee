using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Tcp;

public sealed class CarryingTests
{
    [Theory]
    [InlineData(false, 10)]
    [InlineData(false, 8_000_000)]
    [InlineData(true, 10)]
    [InlineData(true, 8_000_000)]
    public async Task Bytes_BothWaysAndHalfClose_ArriveUnchanged(bool portable, int size)
    {
        await using var instance = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, instance.Destination());
        using var client = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        var sent = RandomNumberGenerator.GetBytes(size);
        var sending = Task.Run(async () =>
        {
            for (var at = 0; at < size;) at += await client.SendAsync(sent.AsMemory(at));
            client.Shutdown(SocketShutdown.Send);
        }, TestContext.Current.CancellationToken);
        using var received = new MemoryStream();
        using var stream = new NetworkStream(client);
        await stream.CopyToAsync(received, TestContext.Current.CancellationToken);
        await sending;
        Assert.True(sent.AsSpan().SequenceEqual(received.ToArray()));
        var seen = Assert.Single(door.Balancer.Snapshot().Destinations);
        Assert.Equal((size, size + 2), (seen.BytesTo, seen.BytesBack));
    }

    [Fact]
    public async Task IdleConnection_OnLinux_IsProbedOnBothSides()
    {
        await using var instance = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(false, null, false, instance.Destination());
        using var client = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        var own = ((System.Net.IPEndPoint)client.LocalEndPoint!).Port;
        // To the client from the first moment, to the instance once the connection has lasted.
        await KeepAliveAsync(line => line.Local == door.Listen.Port && line.Remote == own);
        await KeepAliveAsync(line => line.Remote == instance.Address.Port && line.Local != own);
    }

    // proc(5), /proc/net/tcp: state 01 is established, and timer 02 is the one of keep-alive.
    private static async Task KeepAliveAsync(Predicate<(int Local, int Remote)> which)
    {
        for (var until = Environment.TickCount64 + 20_000; ; await Task.Delay(100, TestContext.Current.CancellationToken))
        {
            var fields = File.ReadLines("/proc/net/tcp").Skip(1).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .Where(line => line[3] == "01" && which((Port(line[1]), Port(line[2])))).ToList();
            if (fields.Count == 1 && fields[0][5].StartsWith("02:", StringComparison.Ordinal)) return;
            Assert.True(Environment.TickCount64 < until, $"no keep-alive: {string.Join("; ", fields.Select(line => string.Join(' ', line[..6])))}");
        }
        static int Port(string address) => Convert.ToInt32(address.Split(':')[1], 16);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SlowReader_BulkBehindIt_ArrivesUnchanged(bool portable)
    {
        await using var instance = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, instance.Destination());
        using var client = await door.ConnectAsync();
        Assert.Equal("a", await TcpDoor.LineAsync(client));
        var sent = RandomNumberGenerator.GetBytes(32_000_000);
        var sending = Task.Run(async () =>
        {
            for (var at = 0; at < sent.Length;) at += await client.SendAsync(sent.AsMemory(at, Math.Min(70_001, sent.Length - at)));
            client.Shutdown(SocketShutdown.Send);
        }, TestContext.Current.CancellationToken);
        var received = new byte[sent.Length];
        using var stream = new NetworkStream(client);
        // Nothing is read until the buffers on the way are well filled.
        Assert.True(SpinWait.SpinUntil(() => door.Balancer.Snapshot().Destinations[0].BytesTo > 4_000_000, 10_000));
        for (var at = 0; at < received.Length; at += 50_000)
            await stream.ReadExactlyAsync(received.AsMemory(at, Math.Min(50_000, received.Length - at)), TestContext.Current.CancellationToken);
        await sending;
        Assert.True(sent.AsSpan().SequenceEqual(received));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ManyClients_TablesChangeMeanwhile_NoneFails(bool portable)
    {
        await using var a = new EchoInstance("a");
        await using var b = new EchoInstance("b");
        await using var door = await TcpDoor.OpenAsync(portable, null, false, a.Destination(), b.Destination());
        using var lasting = await door.ConnectAsync();
        var owner = await TcpDoor.LineAsync(lasting);
        var load = Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                using var client = await door.ConnectAsync();
                Assert.Contains(await TcpDoor.LineAsync(client), new[] { "a", "b" });
                await client.SendAsync(Encoding.ASCII.GetBytes($"{worker}/{i}\n"));
                Assert.Equal($"{worker}/{i}", await TcpDoor.LineAsync(client));
            }
        }, TestContext.Current.CancellationToken)).ToList();
        while (!load.TrueForAll(task => task.IsCompleted))
        {
            door.Publish(a.Destination() with { Weight = 1 + Random.Shared.Next(100) }, b.Destination());
            door.Publish(a.Destination(), b.Destination(owner == "b" ? DestinationState.Up : DestinationState.Draining));
            await Task.Yield();
        }
        await Task.WhenAll(load);
        await lasting.SendAsync("still here\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("still here", await TcpDoor.LineAsync(lasting));
    }

    [Fact]
    public async Task IdleConnections_Thousand_AreCountedAndForgotten()
    {
        await using var instance = new EchoInstance("a");
        await using var door = await TcpDoor.OpenAsync(false, null, false, instance.Destination());
        var clients = new List<Socket>();
        for (var i = 0; i < 1000; i++)
        {
            clients.Add(await door.ConnectAsync());
            Assert.Equal("a", await TcpDoor.LineAsync(clients[^1]));
        }
        Assert.Equal(1000, door.Balancer.Connections);
        foreach (var client in clients) client.Dispose();
        Assert.True(SpinWait.SpinUntil(() => door.Balancer.Connections == 0, 10_000));
        Assert.Equal(0, Assert.Single(door.Balancer.Snapshot().Destinations).Open);
    }
}

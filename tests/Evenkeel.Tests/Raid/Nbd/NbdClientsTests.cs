using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Evenkeel.Raid.Nbd;
using Xunit;

namespace Evenkeel.Tests.Raid.Nbd;

/// <summary>Many clients of one server, and one that asks for more than its share.</summary>
public sealed class NbdClientsTests
{
    private const int Clients = 24;

    [Fact]
    public async Task ManyClients_EachReadsItsOwnAndOneMoreIsTurnedAway()
    {
        var export = new MemoryExport("disk", Clients * 65536);
        await using var server = NbdServer.Start(new IPEndPoint(IPAddress.Loopback, 0), [export], new NbdServerOptions { MaximumClients = Clients });
        var address = $"nbd://127.0.0.1:{((IPEndPoint)server.Endpoint).Port}/disk";
        var clients = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => NbdClient.ConnectAsync(address)));
        await Assert.ThrowsAnyAsync<IOException>(() => NbdClient.ConnectAsync(address));
        await Task.WhenAll(clients.Select((client, i) => Task.Run(async () =>
        {
            var own = new byte[65536];
            new Random(i).NextBytes(own);
            await Task.WhenAll(Enumerable.Range(0, 16).Select(part => client.WriteAsync(i * 65536 + part * 4096, own.AsMemory(part * 4096, 4096)).AsTask()));
            var read = new byte[65536];
            await client.ReadAsync(i * 65536, read);
            Assert.Equal(own, read);
        }, TestContext.Current.CancellationToken)));
        foreach (var client in clients) await client.DisposeAsync();

        // The places are free again once the server has noticed.
        while (true)
        {
            try
            {
                await using var late = await NbdClient.ConnectAsync(address);
                break;
            }
            catch (IOException)
            {
                TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>Whoever closes a leg waits for all that it was asked: one request that never ends is a leg that is never taken in again.</summary>
    [Fact]
    public async Task Dispose_WhileWritesWaitForTheConnection_AllOfThemFail()
    {
        var until = new TaskCompletionSource();
        var export = new MemoryExport("disk", 64 << 20) { Until = until.Task };
        await using var server = NbdServer.Start(new IPEndPoint(IPAddress.Loopback, 0), [export], new NbdServerOptions { MaximumRequests = 1 });
        var payload = new byte[1 << 20];
        try
        {
            for (var round = 0; round < 5; round++)
            {
                var client = await NbdClient.ConnectAsync($"nbd://127.0.0.1:{((IPEndPoint)server.Endpoint).Port}/disk");
                // More than both ends' kernels take.
                var writes = Enumerable.Range(0, 64).Select(i => client.WriteAsync(i << 20, payload).AsTask()).ToList();
                await client.DisposeAsync();
                foreach (var write in writes) await Assert.ThrowsAnyAsync<IOException>(() => write.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
            }
        }
        finally
        {
            until.SetResult();
        }
    }

    /// <summary>A server that waited for such a client to read would never read what that one waits to send.</summary>
    [Fact]
    public async Task Client_SendsAllBeforeItReads_IsAnsweredAll()
    {
        const int reads = 40, writes = 20, each = 1 << 20;
        var export = new MemoryExport("disk", each);
        await using var server = NbdServer.Start(new IPEndPoint(IPAddress.Loopback, 0), [export]);
        using var client = RawClient.Using(server.Endpoint, "disk");
        await Task.Run(() =>
        {
            var payload = new byte[each];
            for (var i = 0u; i < reads; i++) client.Send(RawClient.Request(0, 0, i, 0, each));
            for (var i = 0u; i < writes; i++)
            {
                client.Send(RawClient.Request(0, 1, reads + i, 0, each));
                client.Send(payload);
            }

            var answered = new HashSet<ulong>();
            while (answered.Count < reads + writes)
            {
                var reply = client.Receive(16);
                Assert.Equal(0u, BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(4)));
                var cookie = BinaryPrimitives.ReadUInt64BigEndian(reply.AsSpan(8));
                Assert.True(answered.Add(cookie));
                if (cookie < reads) client.Receive(each);
            }
        }, TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Connect_NobodyAccepts_FailsAtTheDeadline()
    {
        using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        listener.Listen(0);
        // Its queue is full after one or two; then the kernel does not answer any more.
        var others = Enumerable.Range(0, 4).Select(_ => new Socket(SocketType.Stream, ProtocolType.Tcp) { Blocking = false }).ToList();
        foreach (var other in others)
            Assert.True(other.ConnectAsync(new SocketAsyncEventArgs { RemoteEndPoint = listener.LocalEndPoint }) || other.Connected);
        var options = new NbdClientOptions { ConnectDeadline = TimeSpan.FromMilliseconds(300) };
        var failure = await Assert.ThrowsAsync<IOException>(() => NbdClient.ConnectAsync($"nbd://[::1]:{((IPEndPoint)listener.LocalEndPoint!).Port}/", options)
            .WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        Assert.Contains("in time", failure.Message, StringComparison.Ordinal);
        foreach (var other in others) other.Dispose();
    }

    // A request larger than the room goes alone; small ones wait for each other. All are answered.
    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    public async Task LittleRoom_LargeAndSmallRequests_AreAllAnswered(int room)
    {
        var export = new MemoryExport("disk", 4 << 20);
        await using var server = NbdServer.Start(
            new IPEndPoint(IPAddress.Loopback, 0), [export], new NbdServerOptions { MaximumBytes = room, MaximumRequests = 3 });
        await using var client = await NbdClient.ConnectAsync($"nbd://127.0.0.1:{((IPEndPoint)server.Endpoint).Port}/disk");
        var random = new Random(1);
        random.NextBytes(export.Content);
        await Task.WhenAll(Enumerable.Range(0, 60).Select(async i =>
        {
            var read = new byte[i % 5 == 0 ? 1 << 20 : 4096];
            await client.ReadAsync(i % 3 << 20, read);
            Assert.True(read.AsSpan().SequenceEqual(export.Content.AsSpan(i % 3 << 20, read.Length)));
        }));
    }
}

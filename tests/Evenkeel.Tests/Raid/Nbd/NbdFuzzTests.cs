using System.Net;
using System.Net.Sockets;
using Evenkeel.Raid.Nbd;
using Xunit;

namespace Evenkeel.Tests.Raid.Nbd;

/// <summary>Clients that say anything: the server answers as the protocol says or hangs up, and what it stores is what was written.</summary>
public sealed class NbdFuzzTests
{
    private const int Bytes = 256 * 1024;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Requests_OfAnyKind_AreAnsweredOrRefusedAndStoreWhatWasWritten(int seed)
    {
        var export = new MemoryExport("disk", Bytes);
        await using var server = NbdServer.Start(new IPEndPoint(IPAddress.Loopback, 0), [export]);
        using var client = RawClient.Using(server.Endpoint, "disk");
        var random = new Random(seed);
        var model = new byte[Bytes];
        var refused = 0;
        for (ulong cookie = 1; cookie <= 1500; cookie++)
        {
            var command = (ushort)random.Next(0, 10);
            if (command == 2) continue; // goodbye
            var flags = (ushort)(random.Next(4) == 0 ? random.Next(64) : random.Next(2));
            var aligned = random.Next(5) != 0;
            var offset = random.Next(8) == 0 ? (ulong)random.NextInt64(long.MinValue, long.MaxValue) : (ulong)random.Next(Bytes + 4096);
            var length = random.Next(8) == 0 ? (uint)random.NextInt64(uint.MaxValue) : (uint)random.Next(20000);
            if (aligned) (offset, length) = (offset / 512 * 512, length / 512 * 512);
            if (command == 1 && length > 1 << 20) length = 1 << 20;
            var fits = offset % 512 == 0 && length % 512 == 0 && offset <= Bytes && length <= Bytes - offset;
            client.Send(RawClient.Request(flags, command, cookie, offset, length));
            var payload = new byte[command == 1 ? length : 0];
            random.NextBytes(payload);
            client.Send(payload);
            var error = client.ReceiveReply(cookie);
            if (error != 0) refused++;
            var knownFlags = command switch { 0 => 5, 6 => 3, 7 => 9, _ => 1 };
            var expected = (flags & ~knownFlags) == 0 && command switch
            {
                0 or 1 or 4 or 5 or 6 => fits,
                3 => offset == 0 && length == 0,
                _ => false, // a block status was not agreed on
            };
            Assert.True(expected == (error == 0), $"seed {seed}: command {command}, flags {flags:x}, {length} at {offset}: error {error}");
            if (error != 0) continue;
            if (command == 0) Assert.True(client.Receive((int)length).AsSpan().SequenceEqual(model.AsSpan((int)offset, (int)length)), $"seed {seed}: cookie {cookie} read what was not written");
            if (command == 1) payload.CopyTo(model, (int)offset);
            if (command is 4 or 6) model.AsSpan((int)offset, (int)length).Clear();
        }

        Assert.InRange(refused, 100, 1400);
        Assert.True(model.AsSpan().SequenceEqual(export.Content));
    }

    // What clients really send, with bytes changed, lengths that lie, pieces left out or said twice.
    [Fact]
    public async Task Handshakes_Mutilated_CostTheirOwnConnectionOnly()
    {
        await using var server = NbdServer.Start(
            new IPEndPoint(IPAddress.Loopback, 0), [new MemoryExport("disk", Bytes)], new NbdServerOptions { HandshakeDeadline = TimeSpan.FromSeconds(5) });
        byte[][] words =
        [
            RawClient.Option(8, []),
            RawClient.Option(3, []),
            RawClient.Option(10, [0, 0, 0, 4, .. "disk"u8, 0, 0, 0, 1, 0, 0, 0, 15, .. "base:allocation"u8]),
            RawClient.Option(9, [0, 0, 0, 4, .. "disk"u8, 0, 0, 0, 0]),
            RawClient.Option(6, [0, 0, 0, 4, .. "disk"u8, 0, 1, 0, 3]),
            RawClient.Option(5, []),
            RawClient.Option(7, [0, 0, 0, 4, .. "disk"u8, 0, 0]),
            RawClient.Request(0, 0, 7, 0, 512),
            RawClient.Request(0, 2, 8, 0, 0),
        ];
        var random = new Random(7);
        for (var round = 0; round < 300; round++)
        {
            using var client = RawClient.Greeted(server.Endpoint);
            var said = words.SelectMany(word => random.Next(6) switch { 0 => [], 1 => [.. word, .. word], _ => word }).ToArray();
            for (var changes = random.Next(4); changes > 0 && said.Length > 0; changes--) said[random.Next(said.Length)] = (byte)random.Next(256);
            try
            {
                client.Send(said);
                client.ShutdownSend();
            }
            catch (SocketException)
            {
                // Hung up on while it was still talking.
            }

            client.DrainToEnd();
        }

        await using var good = await NbdClient.ConnectAsync($"nbd://127.0.0.1:{((IPEndPoint)server.Endpoint).Port}/disk");
        await good.ReadAsync(0, new byte[512]);
    }

    // A hostile server: whatever it says, the client fails in time with an IOException and never hands out a wrong buffer as success.
    [Fact]
    public async Task Client_HostileServer_FailsInTime()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var random = new Random(5);
        using var done = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var serving = Task.Run(async () =>
        {
            while (true)
            {
                using var peer = await listener.AcceptTcpClientAsync(done.Token);
                byte[] greeting = [.. "NBDMAGIC"u8, .. "IHAVEOPT"u8, 0, 3];
                byte[] agreed = [0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5];
                byte[] ack = [0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0];
                byte[] reply = [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (byte)random.Next(3)];
                byte[] said = [.. greeting, .. agreed, .. ack, .. reply, .. new byte[random.Next(600)]];
                for (var changes = random.Next(3); changes > 0; changes--) said[random.Next(said.Length)] = (byte)random.Next(256);
                if (random.Next(3) == 0) said = said[..random.Next(said.Length)];
                try
                {
                    await peer.GetStream().WriteAsync(said, TestContext.Current.CancellationToken);
                }
                catch (IOException)
                {
                    // The client has hung up.
                }
            }
        }, TestContext.Current.CancellationToken);
        var options = new NbdClientOptions { Deadline = TimeSpan.FromSeconds(1) };
        for (var round = 0; round < 120; round++)
        {
            try
            {
                await using var client = await NbdClient.ConnectAsync($"nbd://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/x", options);
                await client.ReadAsync(0, new byte[512]);
            }
            catch (IOException)
            {
                // In words, and in time.
            }
        }

        await done.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
    }
}

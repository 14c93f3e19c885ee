using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Answers and uploads on their way: piece by piece, without end, broken off.</summary>
public sealed class StreamingTests
{
    private const string Chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
    private static readonly HttpBalancerOptions patient = new() { UncheckedSilence = TimeSpan.FromMinutes(1) };
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("text/event-stream", true)]
    [InlineData("application/x-ndjson", false)]
    public async Task Pieces_AreSeenByTheClientBeforeTheNextIsWritten(string type, bool headAlone)
    {
        var (first, second) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var instance = new StreamInstance(async (stream, _) =>
        {
            await StreamInstance.SayAsync(stream, $"{Chunked}Content-Type: {type}\r\n\r\n");
            if (headAlone) await first.Task;
            await StreamInstance.SayAsync(stream, "5\r\nfirst\r\n");
            await second.Task;
            await StreamInstance.SayAsync(stream, "6\r\nsecond\r\n0\r\n\r\n");
        });
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using var answer = await door.Client.GetAsync(new Uri("/", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, Token);
        first.SetResult();
        await using var body = await answer.Content.ReadAsStreamAsync(Token);
        var buffer = new byte[5];
        await body.ReadExactlyAsync(buffer, Token);
        Assert.Equal("first", Encoding.ASCII.GetString(buffer));
        second.SetResult();
        Assert.Equal("second", await new StreamReader(body).ReadToEndAsync(Token));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    [InlineData(5_000_000)]
    public async Task Answer_OfAnyLength_ArrivesUnchanged(int length)
    {
        var sent = new byte[length];
        new Random(length).NextBytes(sent);
        await using var instance = new StreamInstance(async (stream, head) =>
        {
            if (head.StartsWith("GET /chunked", StringComparison.Ordinal))
            {
                await StreamInstance.SayAsync(stream, Chunked + "\r\n");
                foreach (var part in sent.Chunk(10_007))
                {
                    await StreamInstance.SayAsync(stream, $"{part.Length:x}\r\n");
                    await stream.WriteAsync(part);
                    await StreamInstance.SayAsync(stream, "\r\n");
                }
                await StreamInstance.SayAsync(stream, "0\r\n\r\n");
                return;
            }
            await StreamInstance.SayAsync(stream, $"HTTP/1.1 200 OK\r\nContent-Length: {sent.Length}\r\n\r\n");
            // In two, so that the first may have left when the second comes.
            await stream.WriteAsync(sent.AsMemory(0, length / 2));
            await stream.WriteAsync(sent.AsMemory(length / 2));
        });
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        Assert.Equal(sent, await door.Client.GetByteArrayAsync(new Uri("/whole", UriKind.Relative), Token));
        Assert.Equal(sent, await door.Client.GetByteArrayAsync(new Uri("/chunked", UriKind.Relative), Token));
    }

    [Fact]
    public async Task Answer_ClientReadsNothing_IsNotReadAhead()
    {
        const long All = 256L << 20;
        var written = 0L;
        var block = new byte[1 << 20];
        await using var instance = new StreamInstance(async (stream, _) =>
        {
            await StreamInstance.SayAsync(stream, $"HTTP/1.1 200 OK\r\nContent-Length: {All}\r\n\r\n");
            for (var left = All; left > 0; left -= block.Length)
            {
                await stream.WriteAsync(block);
                Interlocked.Add(ref written, block.Length);
            }
        });
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using var answer = await door.Client.GetAsync(new Uri("/", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, Token);
        Assert.InRange(await SettledAsync(() => Interlocked.Read(ref written)), 1, All / 4);
        await using var body = await answer.Content.ReadAsStreamAsync(Token);
        Assert.Equal(All, await LengthAsync(body));
    }

    [Fact]
    public async Task Upload_InstanceReadsNothing_IsNotReadAhead()
    {
        const long All = 256L << 20;
        var read = new TaskCompletionSource();
        await using var instance = new StreamInstance(async (stream, head) =>
        {
            await read.Task;
            var left = All;
            var buffer = new byte[1 << 20];
            while (left > 0 && await stream.ReadAsync(buffer) is var count and > 0) left -= count;
            await StreamInstance.SayAsync(stream, $"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{(left == 0 && head.Contains($"Content-Length: {All}", StringComparison.OrdinalIgnoreCase) ? 'y' : 'n')}");
        });
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(door.Listen.ToIPEndPoint(), Token);
        using var stream = new NetworkStream(client);
        await StreamInstance.SayAsync(stream, $"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {All}\r\nConnection: close\r\n\r\n");
        var written = 0L;
        var sending = Task.Run(async () =>
        {
            var block = new byte[1 << 20];
            for (var left = All; left > 0; left -= block.Length)
            {
                await stream.WriteAsync(block, Token);
                Interlocked.Add(ref written, block.Length);
            }
        }, Token);
        Assert.InRange(await SettledAsync(() => Interlocked.Read(ref written)), 1, All / 4);
        read.SetResult();
        await sending;
        Assert.EndsWith("\r\n\r\ny", await new StreamReader(stream).ReadToEndAsync(Token), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "half of it")]
    [InlineData(Chunked + "\r\n", "a\r\nhalf of it\r\n")]
    public async Task Answer_BreaksOff_IsNotTakenForTheWhole(string head, string part)
    {
        await using var instance = new StreamInstance((stream, _) => StreamInstance.SayAsync(stream, head + part));
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => door.GetAsync("/"));
        Assert.NotEqual(HttpStatusCode.OK, failure.StatusCode);
    }

    [Fact]
    public async Task Get_InstanceDiesAfterTheHead_IsAnsweredByAnother()
    {
        await using var dying = new StreamInstance((stream, _) => StreamInstance.SayAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-Of: dying\r\n\r\n"));
        await using var good = new ScriptedInstance("good");
        await using var door = await OpenDoor.ToAsync(dying.Destination("b"), good.Destination());
        for (var i = 0; i < 4; i++)
        {
            using var answer = await door.Client.GetAsync(new Uri("/", UriKind.Relative), Token);
            Assert.Equal("good", await answer.Content.ReadAsStringAsync(Token));
            Assert.False(answer.Headers.Contains("X-Of"));
        }
        Assert.NotEqual(0, dying.Served);
    }

    [Theory]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Bad: a\u0001b\r\n\r\nok")]
    [InlineData("this is no HTTP\r\n\r\n")]
    public async Task Get_AnswerIsNoAnswer_EndsWithBadGateway(string answer)
    {
        await using var instance = new StreamInstance((stream, _) => StreamInstance.SayAsync(stream, answer));
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using var got = await door.Client.GetAsync(new Uri("/", UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.BadGateway, got.StatusCode);
        Assert.False(got.Headers.Contains("X-Bad"));
    }

    [Fact]
    public async Task Get_AnswerHasABodyThatItsStatusForbids_EndsWithBadGateway()
    {
        await using var instance = new StreamInstance(async (stream, _) =>
        {
            await StreamInstance.SayAsync(stream, "HTTP/1.1 205 Reset Content\r\nContent-Length: 10\r\n\r\nfirst");
            await Task.Delay(Timeout.Infinite, Token);
        });
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using var got = await door.Client.GetAsync(new Uri("/", UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.BadGateway, got.StatusCode);
    }

    [Fact]
    public async Task Abandon_ClientThatListens_IsReset()
    {
        await using var instance = new StreamInstance(async (stream, _) =>
        {
            await StreamInstance.SayAsync(stream, $"{Chunked}Content-Type: text/event-stream\r\n\r\n");
            await Task.Delay(Timeout.Infinite, Token);
        });
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(door.Listen.ToIPEndPoint(), Token);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"u8.ToArray(), Token);
        Assert.NotEqual(0, await client.ReceiveAsync(new byte[4096], Token));
        door.Balancer.Abandon(door.Listen);
        var end = await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (await client.ReceiveAsync(new byte[4096], Token) > 0) { }
        });
        Assert.Equal(SocketError.ConnectionReset, end.SocketErrorCode);
    }

    [Fact]
    public async Task WebSocket_EndsForWantOfTrafficAgainAndAgain_IsNoInstancesFault()
    {
        await using var instance = new StreamInstance(async (stream, _) =>
        {
            await StreamInstance.SayAsync(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n");
            await Task.Delay(Timeout.Infinite, Token);
        });
        await using var door = await OpenDoor.ToAsync(null, patient with { IdleTimeout = TimeSpan.FromMilliseconds(200) }, instance.Destination());
        for (var i = 0; i < 3; i++)
        {
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await client.ConnectAsync(door.Listen.ToIPEndPoint(), Token);
            await client.SendAsync("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"u8.ToArray(), Token);
            var buffer = new byte[4096];
            var head = Encoding.ASCII.GetString(buffer, 0, await client.ReceiveAsync(buffer, Token));
            Assert.StartsWith("HTTP/1.1 101", head, StringComparison.Ordinal);
            try
            {
                while (await client.ReceiveAsync(buffer, Token) > 0) { }
            }
            catch (SocketException) { }
        }
        Assert.True(SpinWait.SpinUntil(() => door.Balancer.Snapshot().Destinations.Single().InFlight == 0, 10_000));
        Assert.Equal(0, door.Balancer.Snapshot().Destinations.Single().Failures);
    }

    [Theory]
    [InlineData("", HttpStatusCode.GatewayTimeout)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", HttpStatusCode.GatewayTimeout)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", null)]
    public async Task Answer_NothingMoreComes_EndsAfterTheIdleTime(string said, HttpStatusCode? status)
    {
        await using var instance = new StreamInstance(async (stream, _) =>
        {
            await StreamInstance.SayAsync(stream, said);
            await Task.Delay(Timeout.Infinite, Token);
        });
        await using var door = await OpenDoor.ToAsync(null, patient with { IdleTimeout = TimeSpan.FromMilliseconds(300) }, instance.Destination());
        try
        {
            using var got = await door.Client.GetAsync(new Uri("/", UriKind.Relative), Token);
            Assert.Equal(status, got.StatusCode);
            Assert.Equal(1, instance.Served);
        }
        catch (HttpRequestException) when (status is null) { }
    }

    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", 12345)]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\n\r\n", null)]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", null)]
    [InlineData("GET", "HTTP/1.1 299 Quite Right\r\nContent-Length: 0\r\n\r\n", 0)]
    public async Task Answer_WithoutABody_IsPassedOnAsItIs(string method, string said, int? length)
    {
        await using var instance = new StreamInstance((stream, _) => StreamInstance.SayAsync(stream, said));
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri("/", UriKind.Relative));
        using var got = await door.Client.SendAsync(request, Token);
        Assert.Equal(said[9..said.IndexOf('\r', StringComparison.Ordinal)], $"{(int)got.StatusCode} {got.ReasonPhrase}");
        if (length is not null) Assert.Equal(length, (int?)got.Content.Headers.ContentLength);
        Assert.Empty(await got.Content.ReadAsByteArrayAsync(Token));
    }

    [Fact]
    public async Task Trailers_OfAChunkedAnswer_ReachClientsOfHttp2()
    {
        using var certificates = new TestCertificates();
        await using var instance = new StreamInstance((stream, _) => StreamInstance.SayAsync(stream, Chunked + "Trailer: X-Sum\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n"));
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Write("a", "a.example")] });
        door.PublishTo(instance.Destination());
        using var client = TlsDoor.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://{door.Listen}/") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var answer = await client.SendAsync(request, Token);
        Assert.Equal("body", await answer.Content.ReadAsStringAsync(Token));
        Assert.Equal("42", Assert.Single(answer.TrailingHeaders.GetValues("X-Sum")));
    }

    [Fact]
    public async Task Client_GoesAway_InstanceIsToldSo()
    {
        var ended = new TaskCompletionSource();
        await using var instance = new StreamInstance(async (stream, _) =>
        {
            await StreamInstance.SayAsync(stream, Chunked + "Content-Type: text/event-stream\r\n\r\n");
            // Until the balancer closes the connection.
            if (await stream.ReadAsync(new byte[1], Token) == 0) ended.SetResult();
        });
        await using var door = await OpenDoor.ToAsync(null, patient, instance.Destination());
        using (await door.Client.GetAsync(new Uri("/", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, Token)) { }
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(10), Token);
    }

    // It has stood still for a while: no event says that nothing more will come.
    private static async Task<long> SettledAsync(Func<long> value)
    {
        for (long before = -1, now; ; before = now)
        {
            now = value();
            if (now == before && now > 0) return now;
            await Task.Delay(400, Token);
        }
    }

    private static async Task<long> LengthAsync(Stream body)
    {
        var (buffer, length) = (new byte[1 << 20], 0L);
        while (await body.ReadAsync(buffer, Token) is var count and > 0) length += count;
        return length;
    }
}

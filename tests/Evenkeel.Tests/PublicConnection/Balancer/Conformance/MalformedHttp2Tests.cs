using System.Buffers.Binary;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Conformance;

/// <summary>
/// HTTP/2 that is none (RFC 9113, 4 to 8): it ends its stream or its connection with an error and reaches no instance, and the next client is
/// served. What HTTP/2 can carry and HTTP/1.1 cannot (a line feed in a value, a body that is not as long as it says) does not become a
/// request on the way to the instance.
/// </summary>
public sealed class MalformedHttp2Tests
{
    private const string Injected = "x\r\n\r\nGET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n";

    public static TheoryData<string, string> BadHeaders { get; } = new()
    {
        { "x-injected", Injected }, { "x-injected", "a\nb" }, { "x-injected", "a\rb" }, { "x-injected", "a\0b" },
        { "x-injected\r\nx-second", "a" }, { "x-injected: a\r\n\r\nGET /hidden HTTP/1.1\r\nx", "a" }, { "x injected", "a" }, { "x:injected", "a" }, { "X-Injected", "a" }, { "", "a" },
        { "transfer-encoding", "chunked" }, { "connection", "close" }, { "connection", "transfer-encoding" }, { "keep-alive", "5" }, { "upgrade", "h2c" }, { "proxy-connection", "close" }, { "te", "gzip" },
        { "content-length", "3" }, { "content-length", "+0" }, { "content-length", "-1" }, { "content-length", "0\r\nTransfer-Encoding: chunked" },
        { ":path", "/late" }, { ":status", "200" }, { ":unknown", "a" },
        { "host", "shop.example\r\nX-Injected: a" },
    };

    [Theory]
    [MemberData(nameof(BadHeaders))]
    public async Task Header_ThatMayNotBe_ReachesNobody(string name, string value) => await ReachesNobodyAsync(FrameClient.Block((name, value)));

    [Theory]
    [InlineData(":method", "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\nGET")]
    [InlineData(":method", "GET ")]
    [InlineData(":method", "")]
    [InlineData(":method", null)]
    [InlineData(":path", "/ HTTP/1.1\r\nX-Injected: a\r\n\r\n")]
    [InlineData(":path", "/a b")]
    [InlineData(":path", "/\0")]
    [InlineData(":path", "/?a b")]
    [InlineData(":path", "hidden")]
    [InlineData(":path", "")]
    [InlineData(":path", null)]
    [InlineData(":authority", "shop.example\r\nX-Injected: a")]
    [InlineData(":authority", "shop example")]
    [InlineData(":authority", "user@shop.example")]
    [InlineData(":scheme", "x\r\ny")]
    [InlineData(":scheme", null)]
    public async Task PseudoHeader_ThatMayNotBe_ReachesNobody(string name, string? value)
    {
        (string Name, string Value)[] usual = [(":method", "GET"), (":scheme", "https"), (":authority", "shop.example"), (":path", "/")];
        await ReachesNobodyAsync(FrameClient.Block([.. usual.Where(one => one.Name != name || value is not null).Select(one => one.Name == name ? (name, value!) : one)]));
    }

    [Fact]
    public async Task PseudoHeader_Twice_ReachesNobody() =>
        await ReachesNobodyAsync(FrameClient.Block((":method", "GET"), (":method", "POST"), (":scheme", "https"), (":authority", "shop.example"), (":path", "/")));

    [Fact]
    public async Task Connect_IsRefusedAndNoInstancesFault()
    {
        await using var bench = await Bench.OpenAsync();
        await using var client = await FrameClient.ConnectAsync(bench.Door);
        await client.SendAsync(FrameType.Headers, FrameClient.EndHeaders, 1, FrameClient.Block((":method", "CONNECT"), (":authority", "shop.example:80")));
        Assert.True((await client.OutcomeAsync(1))?.Type is null or FrameType.ResetStream or FrameType.GoAway or FrameType.Data or FrameType.Headers);
        await bench.IsServingAsync();
        var instance = Assert.Single(bench.Door.Balancer.Snapshot().Destinations);
        Assert.Equal((1L, 0L), (instance.Requests, instance.Failures));
    }

    [Fact]
    public async Task Host_BesideAuthority_IsTheAuthority()
    {
        await using var bench = await Bench.OpenAsync();
        await using var client = await FrameClient.ConnectAsync(bench.Door);
        await client.SendAsync(FrameType.Headers, FrameClient.EndStream | FrameClient.EndHeaders, 1, FrameClient.Block(("host", "other.example")));
        Assert.Equal(FrameType.Data, (await client.OutcomeAsync(1))?.Type);
        Assert.Equal("shop.example", Assert.Single(bench.Door.Instance.Requests).Headers["Host"]);
    }

    [Theory]
    [InlineData(3, "abcd")]
    [InlineData(3, "ab")]
    [InlineData(0, "GET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    public async Task Body_NotAsLongAsItSays_IsNoRequestOfItsOwn(int said, string body)
    {
        await using var bench = await Bench.OpenAsync();
        await using (var client = await FrameClient.ConnectAsync(bench.Door))
        {
            var block = FrameClient.Block((":method", "POST"), (":scheme", "https"), (":authority", "shop.example"), (":path", "/first"), ("content-length", $"{said}"));
            await client.SendAsync(FrameType.Headers, FrameClient.EndHeaders, 1, block);
            await client.SendAsync(FrameType.Data, FrameClient.EndStream, 1, System.Text.Encoding.Latin1.GetBytes(body));
            Assert.True((await client.OutcomeAsync(1))?.Type is null or FrameType.ResetStream or FrameType.GoAway or FrameType.Data or FrameType.Headers);
        }
        // The instance may have been told of it; then as of one request that never ended well.
        await bench.IsServingAsync();
        Assert.All(bench.Door.Instance.Requests, request => Assert.True(request.Path is "/next" || request is { Path: "/first", Body: "" or "abc" }, request.ToString()));
        Assert.Empty(bench.Door.Instance.To("/hidden"));
    }

    public static TheoryData<string, byte[]> BadFrames { get; } = new()
    {
        { "data on no stream", FrameClient.Bytes(FrameType.Data, 0, 0, [1]) },
        { "data on an idle stream", FrameClient.Bytes(FrameType.Data, 0, 1, [1]) },
        { "data padded beyond its end", [.. FrameClient.Bytes(FrameType.Headers, FrameClient.EndHeaders, 1, FrameClient.Block()), .. FrameClient.Bytes(FrameType.Data, 8, 1, [9, 1])] },
        { "headers on no stream", FrameClient.Bytes(FrameType.Headers, 5, 0, FrameClient.Block()) },
        { "headers on an even stream", FrameClient.Bytes(FrameType.Headers, 5, 2, FrameClient.Block()) },
        { "headers that are no HPACK", FrameClient.Bytes(FrameType.Headers, 5, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) },
        { "headers with an index of nothing", FrameClient.Bytes(FrameType.Headers, 5, 1, [0x80]) },
        { "headers cut within a literal", FrameClient.Bytes(FrameType.Headers, 5, 1, FrameClient.Block()[..^3]) },
        { "a table larger than agreed", FrameClient.Bytes(FrameType.Headers, 5, 1, [0x3f, 0xff, 0xff, 0x03, .. FrameClient.Block()]) },
        { "another frame within headers", [.. FrameClient.Bytes(FrameType.Headers, 1, 1, FrameClient.Block()), .. FrameClient.Bytes(FrameType.Ping, 0, 0, new byte[8])] },
        { "a continuation of nothing", FrameClient.Bytes(FrameType.Continuation, 4, 1, []) },
        { "a continuation of another stream", [.. FrameClient.Bytes(FrameType.Headers, 1, 1, FrameClient.Block()), .. FrameClient.Bytes(FrameType.Continuation, 4, 3, [])] },
        { "a stream that depends on itself", FrameClient.Bytes(FrameType.Priority, 0, 1, [0, 0, 0, 1, 0]) },
        { "a short priority", FrameClient.Bytes(FrameType.Priority, 0, 1, [0]) },
        { "a reset of an idle stream", FrameClient.Bytes(FrameType.ResetStream, 0, 1, new byte[4]) },
        { "settings of half an entry", FrameClient.Bytes(FrameType.Settings, 0, 0, [0, 3, 0]) },
        { "settings on a stream", FrameClient.Bytes(FrameType.Settings, 0, 1, []) },
        { "an acknowledgement with settings", FrameClient.Bytes(FrameType.Settings, 1, 0, [0, 3, 0, 0, 0, 1]) },
        { "settings with a window too large", FrameClient.Bytes(FrameType.Settings, 0, 0, [0, 4, 0xff, 0xff, 0xff, 0xff]) },
        { "settings with a frame too small", FrameClient.Bytes(FrameType.Settings, 0, 0, [0, 5, 0, 0, 0, 1]) },
        { "a push from a client", FrameClient.Bytes(FrameType.PushPromise, 4, 1, [0, 0, 0, 2]) },
        { "a short ping", FrameClient.Bytes(FrameType.Ping, 0, 0, [1]) },
        { "a ping on a stream", FrameClient.Bytes(FrameType.Ping, 0, 1, new byte[8]) },
        { "a window that grows by nothing", FrameClient.Bytes(FrameType.WindowUpdate, 0, 0, new byte[4]) },
        { "a window beyond its bound", FrameClient.Bytes(FrameType.WindowUpdate, 0, 0, [0x7f, 0xff, 0xff, 0xff]) },
        { "a frame larger than agreed", FrameClient.Bytes(FrameType.Data, 0, 0, new byte[20_000]) },
        { "a frame of sixteen megabytes", [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1] },
        { "a GOAWAY on a stream", FrameClient.Bytes(FrameType.GoAway, 0, 1, new byte[8]) },
    };

    [Theory]
    [MemberData(nameof(BadFrames))]
    public async Task Frame_ThatMayNotBe_EndsTheConnection(string what, byte[] bytes)
    {
        await using var bench = await Bench.OpenAsync();
        await using (var client = await FrameClient.ConnectAsync(bench.Door))
        {
            await client.SendAsync(bytes);
            // RFC 9113, 5.4.1: GOAWAY with the reason, then the end.
            Assert.True(await client.OutcomeAsync(1) is null or { Type: FrameType.GoAway or FrameType.ResetStream }, what);
        }
        Assert.Empty(bench.Door.Instance.Requests);
        await bench.IsServingAsync();
    }

    [Fact]
    public async Task Continuations_WithoutEnd_AreCutOff()
    {
        // CVE-2024-27316 and its kin: headers that never end cost memory.
        await using var bench = await Bench.OpenAsync();
        await using (var client = await FrameClient.ConnectAsync(bench.Door))
        {
            await client.SendAsync(FrameType.Headers, FrameClient.EndStream, 1, FrameClient.Block());
            var more = FrameClient.Bytes(FrameType.Continuation, 0, 1, FrameClient.Block((":x", new string('a', 8000)))[4..]);
            var flood = Task.Run(async () =>
            {
                for (var i = 0; i < 10_000; i++) await client.SendAsync(more);
            }, TestContext.Current.CancellationToken);
            Assert.True(await client.OutcomeAsync(1) is null or { Type: FrameType.GoAway });
            await Assert.ThrowsAnyAsync<IOException>(() => flood.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        }
        Assert.Empty(bench.Door.Instance.Requests);
        await bench.IsServingAsync();
    }

    [Fact]
    public async Task Streams_ResetAsFastAsTheyAreMade_AreCutOff()
    {
        // CVE-2023-44487: each costs the client nothing and us a request.
        await using var bench = await Bench.OpenAsync();
        await using (var client = await FrameClient.ConnectAsync(bench.Door))
        {
            var cancel = new byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(cancel, 8);
            var flood = Task.Run(async () =>
            {
                for (var id = 1; id < 200_000; id += 2)
                    await client.SendAsync([.. FrameClient.Bytes(FrameType.Headers, 5, id, FrameClient.Block()), .. FrameClient.Bytes(FrameType.ResetStream, 0, id, cancel)]);
            }, TestContext.Current.CancellationToken);
            while (await client.ReadAsync() is not (null or { Type: FrameType.GoAway })) { }
            await Assert.ThrowsAnyAsync<IOException>(() => flood.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        }
        await bench.IsServingAsync();
    }

    private static async Task ReachesNobodyAsync(byte[] block)
    {
        await using var bench = await Bench.OpenAsync();
        await using (var client = await FrameClient.ConnectAsync(bench.Door))
        {
            await client.SendAsync(FrameType.Headers, FrameClient.EndStream | FrameClient.EndHeaders, 1, block);
            var outcome = await client.OutcomeAsync(1);
            Assert.True(outcome?.Type is null or FrameType.ResetStream or FrameType.GoAway or FrameType.Headers, outcome?.ToString());
        }
        Assert.Empty(bench.Door.Instance.Requests);
        await bench.IsServingAsync();
    }

    private sealed class Bench : IAsyncDisposable
    {
        private readonly TestCertificates certificates;

        private Bench(TestCertificates certificates, TlsDoor door) => (this.certificates, Door) = (certificates, door);

        public TlsDoor Door { get; }

        public static async Task<Bench> OpenAsync()
        {
            var certificates = new TestCertificates();
            return new Bench(certificates, await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Write("shop", "shop.example")] }));
        }

        public async Task IsServingAsync()
        {
            await using var client = await FrameClient.ConnectAsync(Door);
            await client.SendAsync(FrameType.Headers, FrameClient.EndStream | FrameClient.EndHeaders, 1,
                FrameClient.Block((":method", "GET"), (":scheme", "https"), (":authority", "shop.example"), (":path", "/next")));
            Assert.Equal(FrameType.Data, (await client.OutcomeAsync(1))?.Type);
            Assert.Single(Door.Instance.To("/next"));
        }

        public async ValueTask DisposeAsync()
        {
            await Door.DisposeAsync();
            certificates.Dispose();
        }
    }
}

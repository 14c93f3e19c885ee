using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Conformance;

/// <summary>
/// Messages whose end two parsers could see in different places (RFC 9112, 2.2, 3.2, 5.1, 5.2, 6.1, 6.3; RFC 9110, 5.5): what is in
/// doubt is refused, its connection ends, and neither it nor what hides behind it reaches an instance.
/// </summary>
public sealed class SmugglingTests
{
    private const string Hidden = "GET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    private const string Last = "GET /last HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";

    [Theory]
    [InlineData("Content-Length: 5\r\nContent-Length: 6")]
    [InlineData("Content-Length: 5\r\nContent-Length: 5")]
    [InlineData("Content-Length: 5, 5")]
    [InlineData("Content-Length: 5, 6")]
    [InlineData("Content-Length: +5")]
    [InlineData("Content-Length: -5")]
    [InlineData("Content-Length: 0x5")]
    [InlineData("Content-Length: 5 6")]
    [InlineData("Content-Length: ")]
    [InlineData("Content-Length: 99999999999999999999")]
    [InlineData("Content-Length : 5")]
    [InlineData("Content-Length\t: 5")]
    [InlineData(" Content-Length: 5")]
    [InlineData("Content-Length: 44\r\nTransfer-Encoding: chunked")]
    [InlineData("Transfer-Encoding: chunked\r\nContent-Length: 44")]
    [InlineData("Transfer-Encoding: xchunked")]
    [InlineData("Transfer-Encoding: chunked, identity")]
    [InlineData("Transfer-Encoding: identity")]
    [InlineData("Transfer-Encoding: gzip, chunked")]
    [InlineData("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")]
    [InlineData("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")]
    [InlineData("Transfer-Encoding: \"chunked\"")]
    [InlineData("Transfer-Encoding: chunked;q=1")]
    [InlineData("Transfer-Encoding: \vchunked")]
    [InlineData("Transfer-Encoding : chunked")]
    [InlineData("Transfer\u00b5Encoding: chunked")]
    [InlineData("X-Folded: a\r\n Transfer-Encoding: chunked")]
    [InlineData("X-Folded: a\r\n\tb")]
    [InlineData("X-Injected: a\rTransfer-Encoding: chunked")]
    [InlineData("X-Injected: a\nTransfer-Encoding: chunked")]
    [InlineData("X-Injected: a\0b")]
    [InlineData("X-Injected\0: a")]
    [InlineData("X Injected: a")]
    [InlineData("Host: other.example")]
    [InlineData("No-Colon")]
    [InlineData(": no name")]
    public async Task Head_OfDoubtfulMeaning_IsRefusedAsAWhole(string header) =>
        await IsRefusedAsync($"POST / HTTP/1.1\r\nHost: shop.example\r\n{header}\r\n\r\n0\r\n\r\n{Hidden}");

    [Theory]
    [InlineData("GET / HTTP/1.1\nHost: shop.example\n\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: shop.example\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: shop.example\r\n\n")]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: shop example\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: shop.example/x\r\n\r\n")]
    [InlineData("GET / HTTP/1.1 \r\nHost: shop.example\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\rHost: shop.example\r\n\r\n")]
    [InlineData("GET /a b HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    [InlineData("GET /a\tb HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    [InlineData("GET /a\0b HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    [InlineData("GET /a%00b HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    [InlineData("GET http://other.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    [InlineData("G\u00cbT / HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    [InlineData("G(T / HTTP/1.1\r\nHost: shop.example\r\n\r\n")]
    [InlineData("CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example:80\r\n\r\n")]
    [InlineData("POST / HTTP/1.0\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    public async Task Request_OfDoubtfulMeaning_IsRefusedAsAWhole(string request) => await IsRefusedAsync(request + Hidden);

    [Fact]
    public async Task Http2_AtAPlainPort_IsRefused()
    {
        var exchange = await RawExchange.OfAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Hidden);
        Assert.Equal("", exchange.Received);
        // GOAWAY with HTTP_1_1_REQUIRED (RFC 9113, 7).
        Assert.Equal("\0\0\u0008\u0007\0\0\0\0\0\0\0\0\0\0\0\0\r", exchange.Answer);
    }

    [Theory]
    [InlineData("x\r\nabc\r\n0\r\n\r\n")]
    [InlineData("-1\r\nabc\r\n0\r\n\r\n")]
    [InlineData("+3\r\nabc\r\n0\r\n\r\n")]
    [InlineData("0x3\r\nabc\r\n0\r\n\r\n")]
    [InlineData("3 \nabc\r\n0\r\n\r\n")]
    [InlineData(" 3\r\nabc\r\n0\r\n\r\n")]
    [InlineData("\r\nabc\r\n0\r\n\r\n")]
    [InlineData("3\nabc\r\n0\r\n\r\n")]
    [InlineData("3\rabc\r\n0\r\n\r\n")]
    [InlineData("3;a\nabc\r\n0\r\n\r\n")]
    [InlineData("3;a\rb\r\nabc\r\n0\r\n\r\n")]
    [InlineData("3\r\nabc0\r\n\r\n")]
    [InlineData("3\r\nabcd\r\n0\r\n\r\n")]
    [InlineData("3\r\nabc\n0\r\n\r\n")]
    [InlineData("10000000000000003\r\nabc\r\n0\r\n\r\n")]
    [InlineData("FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n")]
    [InlineData("3\r\nabc\r\n0\n\r\n")]
    [InlineData("3\r\nabc\r\n0\r\nX-Trailer\r\n\r\n")]
    [InlineData("3\r\nabc\r\n0\r\nX-Trailer: a\n\r\n")]
    public async Task Chunk_OfDoubtfulSize_EndsTheRequestAndTheConnection(string body)
    {
        var (answer, received) = await RawExchange.OfAsync($"POST /first HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n{body}{Hidden}");
        // The head was in order and may have been passed on; the body that never ended well must not look as if it had.
        Assert.DoesNotContain("hidden", received, StringComparison.Ordinal);
        Assert.DoesNotContain("\r\n0\r\n", received, StringComparison.Ordinal);
        Assert.DoesNotContain("HTTP/1.1 200", answer, StringComparison.Ordinal);
        Assert.True(RecordingInstance.Requests(received) is [] or ["POST /first HTTP/1.1"], received);
    }

    [Theory]
    [InlineData("Content-Length: 44\r\n\r\n" + Hidden)]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n2c\r\n" + Hidden + "\r\n0\r\n\r\n")]
    [InlineData("Transfer-Encoding: Chunked\r\n\r\n2C;name=\"va;lue\"\r\n" + Hidden + "\r\n0;x\r\nContent-Length: 3\r\nX-Trailer: a\r\n\r\n")]
    public async Task Body_ThatLooksLikeARequest_StaysABody(string rest)
    {
        var exchange = await RawExchange.OfAsync($"POST /first HTTP/1.1\r\nHost: shop.example\r\n{rest}{Last}");
        Assert.Equal(["200", "200"], exchange.Statuses);
        // The instance was told the length of what it must not read as a request.
        var frame = exchange.Received.IndexOf("GET /hidden", StringComparison.Ordinal);
        var head = exchange.Received[..exchange.Received.IndexOf("\r\n\r\n", StringComparison.Ordinal)];
        Assert.Equal(1, head.Split("Content-Length: 44", StringSplitOptions.None).Length + head.Split("Transfer-Encoding: chunked").Length - 2);
        Assert.True(head.Contains("chunked", StringComparison.Ordinal) == exchange.Received[..frame].EndsWith("\r\n2C\r\n", StringComparison.OrdinalIgnoreCase), exchange.Received);
        Assert.Equal(["POST /first HTTP/1.1", "GET /hidden HTTP/1.1", "GET /last HTTP/1.1"], exchange.Requests);
    }

    [Theory]
    [InlineData("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")]
    [InlineData("Upgrade: TLS/1.0\r\nConnection: upgrade")]
    [InlineData("Upgrade: SPDY/3.1\r\nConnection: Upgrade")]
    public async Task Upgrade_ToWhatWeDoNotSpeak_IsNotPassedOn(string header)
    {
        // The answer to it would make a tunnel, and nobody would look at what goes through.
        var exchange = await RawExchange.OfAsync($"GET /first HTTP/1.1\r\nHost: shop.example\r\n{header}\r\n\r\n{Last}");
        Assert.Equal(["200", "200"], exchange.Statuses);
        Assert.DoesNotContain("Upgrade", exchange.Received, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("HTTP2-Settings", exchange.Received, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Connection_NamesHeaders_TheyGoNoFurther()
    {
        var exchange = await RawExchange.OfAsync(
            $"GET /first HTTP/1.1\r\nHost: shop.example\r\nConnection: X-Hop ,X-Forwarded-For, Host\r\nX-Hop: a\r\nX-Stays: b\r\nTE: gzip\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n\r\n{Last}");
        Assert.Equal(["200", "200"], exchange.Statuses);
        Assert.DoesNotContain("X-Hop", exchange.Received, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Keep-Alive", exchange.Received, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("TE: gzip", exchange.Received, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("X-Stays: b\r\n", exchange.Received, StringComparison.Ordinal);
        Assert.Contains("X-Forwarded-For: 127.0.0.1\r\n", exchange.Received, StringComparison.Ordinal);
        Assert.Contains("Host: shop.example\r\n", exchange.Received, StringComparison.Ordinal);
    }

    private static async Task IsRefusedAsync(string bytes)
    {
        var exchange = await RawExchange.OfAsync(bytes);
        Assert.Equal("", exchange.Received);
        Assert.True(exchange.Statuses is [['4' or '5', ..]] && exchange.Answer.Contains("\r\nConnection: close\r\n", StringComparison.OrdinalIgnoreCase), exchange.Answer);
    }
}

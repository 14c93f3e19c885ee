using System.Net;
using System.Net.Security;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Preface;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Tcp;

public sealed class PrefaceTests
{
    private static readonly IPEndPoint client4 = IPEndPoint.Parse("203.0.113.9:4711"), door4 = IPEndPoint.Parse("198.51.100.1:443");
    private static readonly IPEndPoint client6 = IPEndPoint.Parse("[2001:db8::9]:4711"), door6 = IPEndPoint.Parse("[2001:db8::1]:443");

    public static TheoryData<int, bool> Versions => new() { { 1, false }, { 1, true }, { 2, false }, { 2, true } };

    [Theory]
    [MemberData(nameof(Versions))]
    public void ProxyHeader_WrittenAndRead_IsTheSameAtEveryCut(int version, bool six)
    {
        var bytes = new byte[128];
        var client = six ? client6 : client4;
        var length = ProxyHeader.Write(version == 1 ? ProxyProtocol.V1 : ProxyProtocol.V2, client, six ? door6 : door4, bytes);
        for (var cut = 0; cut < length; cut++)
            Assert.Equal(PrefaceState.Incomplete, ProxyHeader.Read(bytes.AsSpan(0, cut), out _, out _));
        Assert.Equal(PrefaceState.Complete, ProxyHeader.Read(bytes, out var read, out var found));
        Assert.Equal((length, client), (read, found));
    }

    [Fact]
    public void ProxyHeader_Version2_HasTheBytesOfTheSpecification()
    {
        var bytes = new byte[128];
        var length = ProxyHeader.Write(ProxyProtocol.V2, client4, door4, bytes);
        Assert.Equal("0D0A0D0A000D0A515549540A" + "21" + "11" + "000C" + "CB007109" + "C6336401" + "1267" + "01BB", Convert.ToHexString(bytes[..length]));
    }

    [Theory]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n")]
    [InlineData("PROXY TCP4 ::1 ::1 1 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n")]
    [InlineData("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n")]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 1 2                                                                                            \r\n")]
    public void ProxyHeader_Wrong_IsInvalid(string text) =>
        Assert.Equal(PrefaceState.Invalid, ProxyHeader.Read(Encoding.ASCII.GetBytes(text), out _, out _));

    [Fact]
    public void ProxyHeader_MappedAddress_IsTheIPv4Client()
    {
        var binary = new byte[128];
        var length = ProxyHeader.Write(ProxyProtocol.V2, new IPEndPoint(IPAddress.Parse("::ffff:1.2.3.4"), 5), new IPEndPoint(IPAddress.Parse("::1"), 443), binary);
        foreach (var header in new[] { Encoding.ASCII.GetBytes("PROXY TCP6 ::ffff:1.2.3.4 ::1 5 443\r\n"), binary[..length] })
        {
            Assert.Equal(PrefaceState.Complete, ProxyHeader.Read(header, out _, out var client));
            Assert.Equal(new IPEndPoint(IPAddress.Parse("1.2.3.4"), 5), client);
        }
    }

    [Fact]
    public void ProxyHeader_Unknown_SpeaksForItself()
    {
        Assert.Equal(PrefaceState.Complete, ProxyHeader.Read("PROXY UNKNOWN\r\nx"u8, out var length, out var client));
        Assert.Equal((15, null), (length, client));
    }

    [Fact]
    public async Task ClientHello_OfARealClient_NameIsReadAtTheLastByteOnly()
    {
        using var pipe = new Recording();
        using var tls = new SslStream(pipe);
        await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync("Shop.Example.org"));
        var hello = pipe.Written.ToArray();
        // Only the hello itself: an alert may follow it.
        var whole = 5 + (hello[3] << 8 | hello[4]);
        for (var cut = 0; cut < whole; cut++)
            Assert.Equal(PrefaceState.Incomplete, ClientHello.Read(hello.AsSpan(0, cut), out _));
        Assert.Equal(PrefaceState.Complete, ClientHello.Read(hello.AsSpan(0, whole), out var name));
        Assert.Equal("shop.example.org", name);
        // The same in two records, as some clients cut it.
        var body = hello[5..whole];
        byte[] halves = [22, 3, 1, 0, 40, .. body[..40], 22, 3, 1, (byte)((body.Length - 40) >> 8), (byte)(body.Length - 40), .. body[40..]];
        Assert.Equal(PrefaceState.Complete, ClientHello.Read(halves, out name));
        Assert.Equal("shop.example.org", name);
        // Whatever is damaged, it is read to an end and never beyond it.
        var random = new Random(1);
        for (var i = 0; i < 20_000; i++)
        {
            var damaged = hello[..whole];
            for (var n = 0; n < 3; n++) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            ClientHello.Read(damaged, out _);
        }
    }

    [Fact]
    public void ClientHello_NoTls_IsInvalidAtTheFirstByte() => Assert.Equal(PrefaceState.Invalid, ClientHello.Read("G"u8, out _));

    private sealed class Recording : Stream
    {
        public MemoryStream Written { get; } = new();
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count) => 0;
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => Written.Write(buffer, offset, count);
    }
}

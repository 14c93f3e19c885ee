using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Who the instance is told the client is (RFC 7239), and by whose word.</summary>
public sealed class ForwardedTests
{
    private const string Own = "for=127.0.0.1;proto=http;host=shop.example";

    [Theory]
    [InlineData("X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.8")]
    [InlineData("Forwarded: for=203.0.113.7;proto=https", "X-Real-IP: 203.0.113.7")]
    [InlineData("x-forwarded-for: 203.0.113.7", "X_Forwarded_For: 203.0.113.7")]
    [InlineData("X-Forwarded-Port: 443", "X_REAL_IP: 203.0.113.7")]
    [InlineData("X-Forwarded-Proto: https", "X-Forwarded-Host: other.example")]
    [InlineData("X-Forwarded-Server: evil", "X-Forwarded-Prefix: /evil")]
    public async Task Claims_OfAnybody_AreReplaced(string claim, string another)
    {
        var seen = await SeenAsync(DoorSpec.Default, claim, another);
        Assert.Equal(
            ["Forwarded: " + Own, "Host: shop.example", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: shop.example", "X-Forwarded-Proto: http"],
            seen.Select(pair => $"{pair.Key}: {pair.Value}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Claims_OfAProxyOfAnotherNetwork_AreReplaced()
    {
        var seen = await SeenAsync(Trusting("10.0.0.0/8"), "X-Forwarded-For: 203.0.113.7");
        Assert.Equal("127.0.0.1", seen["X-Forwarded-For"]);
    }

    [Theory]
    [InlineData("X-Forwarded-For: 203.0.113.7", "203.0.113.7, 127.0.0.1", "for=203.0.113.7, " + Own)]
    [InlineData("X-Forwarded-For: 203.0.113.7, 2001:db8::1", "203.0.113.7, 2001:db8::1, 127.0.0.1", "for=203.0.113.7, for=\"[2001:db8::1]\", " + Own)]
    [InlineData("X-Forwarded-For: junk;for=x", "junk;for=x, 127.0.0.1", "for=unknown, " + Own)]
    [InlineData("Forwarded: for=203.0.113.7;proto=https", "203.0.113.7, 127.0.0.1", "for=203.0.113.7;proto=https, " + Own)]
    [InlineData("Forwarded: proto=https;For=\"[2001:db8::1]:4711\", for=\"_a,\\\"b\"", "2001:db8::1, unknown, 127.0.0.1", "proto=https;For=\"[2001:db8::1]:4711\", for=\"_a,\\\"b\", " + Own)]
    [InlineData("X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.7;by=10.0.0.1", "203.0.113.7, 127.0.0.1", "for=203.0.113.7;by=10.0.0.1, " + Own)]
    [InlineData("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.8", "203.0.113.7, 203.0.113.8, 127.0.0.1", "for=203.0.113.7, for=203.0.113.8, " + Own)]
    [InlineData("X-Other: a", "127.0.0.1", Own)]
    public async Task Words_OfATrustedProxy_AreKeptAndItsAddressAppended(string said, string chain, string elements)
    {
        var seen = await SeenAsync(Trusting("127.0.0.0/8"), said);
        Assert.Equal((chain, elements), (seen["X-Forwarded-For"], seen["Forwarded"]));
    }

    [Fact]
    public async Task ProtoAndHost_OfATrustedProxy_AreTheClients()
    {
        var seen = await SeenAsync(Trusting("127.0.0.0/8"), "X-Forwarded-Proto: https", "X-Forwarded-Host: outer.example");
        Assert.Equal(("https", "outer.example"), (seen["X-Forwarded-Proto"], seen["X-Forwarded-Host"]));
    }

    [Fact]
    public void Element_OfAnIpv6Client_IsQuoted() =>
        Assert.Equal("for=\"[2001:db8::1]\";proto=https;host=\"shop.example:8443\"", ForwardedElement.Write(IPAddress.Parse("2001:db8::1"), "https", "shop.example:8443"));

    private static DoorSpec Trusting(string network) => new() { Http = new HttpDoorSpec { TrustForwardedFrom = [IPNetwork.Parse(network)] } };

    private static async Task<IReadOnlyDictionary<string, string>> SeenAsync(DoorSpec spec, params string[] headers)
    {
        await using var instance = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(spec, null, instance.Destination());
        await door.GetAsync("/", headers);
        return Assert.Single(instance.Requests).Headers;
    }
}

using System.Net;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Preface;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>The PROXY protocol in front of HTTP doors.</summary>
public sealed class AnnouncementTests
{
    private static readonly DoorSpec trusting = new() { AcceptProxyFrom = [IPNetwork.Parse("127.0.0.0/8")] };
    private static readonly byte[] request = "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray();

    [Theory]
    [InlineData(ProxyProtocol.V1)]
    [InlineData(ProxyProtocol.V2)]
    public async Task TrustedProxy_Header_InstanceLearnsTheClient(ProxyProtocol protocol)
    {
        await using var a = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(trusting, null, a.Destination());
        Assert.EndsWith("a", await door.SayAsync([.. Header(protocol), .. request]), StringComparison.Ordinal);
        Assert.Equal("203.0.113.9", Assert.Single(a.To("/who")).Headers["X-Forwarded-For"]);
    }

    [Fact]
    public async Task TrustedProxy_WithoutHeader_IsNotServed()
    {
        await using var a = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(trusting, null, a.Destination());
        Assert.Equal("", await door.SayAsync(request));
        Assert.Empty(a.Requests);
    }

    [Fact]
    public async Task Deny_OfTheAnnouncedClient_Counts()
    {
        await using var a = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(trusting with { Deny = [IPNetwork.Parse("203.0.113.0/24")] }, null, a.Destination());
        Assert.Equal("", await door.SayAsync([.. Header(ProxyProtocol.V1), .. request]));
        Assert.Empty(a.Requests);
    }

    [Fact]
    public async Task Stranger_Header_IsNotBelieved()
    {
        await using var a = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(DoorSpec.Default, null, a.Destination());
        Assert.StartsWith("HTTP/1.1 400", await door.SayAsync([.. Header(ProxyProtocol.V1), .. request]), StringComparison.Ordinal);
        Assert.Empty(a.Requests);
    }

    private static byte[] Header(ProxyProtocol protocol)
    {
        var header = new byte[128];
        return header[..ProxyHeader.Write(protocol, IPEndPoint.Parse("203.0.113.9:4711"), IPEndPoint.Parse("198.51.100.1:80"), header)];
    }
}

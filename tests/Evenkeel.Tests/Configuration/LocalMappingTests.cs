using System.Net;
using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

public sealed class LocalMappingTests
{
    private static LocalCluster Map(string text)
    {
        Assert.True(LocalMapping.TryMap(Examples.Spec(text), "/srv/shop", out var map, out var problem), problem);
        return map;
    }

    [Fact]
    public void Map_TheExample_PutsEveryAddressOnLoopback()
    {
        var spec = Map(Examples.Web).Spec;
        Assert.Equal(IPAddress.Parse("127.77.1.2"), spec.Nodes[new NodeName("n2")].Private[0]);
        Assert.Equal(IPAddress.Parse("127.77.2.2"), spec.Nodes[new NodeName("n2")].Public);
        Assert.Equal(IPAddress.Parse("127.77.0.1"), spec.Vips["front"].Address);
        Assert.All(spec.Nodes.Values.SelectMany(node => node.Private), address => Assert.True(IPAddress.IsLoopback(address)));
        Assert.Equal(CoordinationKind.Embedded, spec.Coordination.Kind);
    }

    [Fact]
    public void Map_APortThatNeedsRoot_MovesUpAndIsPrinted()
    {
        var map = Map(Examples.Web);
        Assert.Equal(8080, map.Spec.Services["web"].Publish[0].Port);
        Assert.Contains(map.Map, line => line is { What: "service web", Declared: "front port 80", Local: "http://127.77.0.1:8080" });
    }

    [Fact]
    public void Map_APortAlreadyTaken_TakesTheNextFreeOne()
    {
        var map = Map(Examples.Spoil("depends_on: [web]", "port: 5001\n    publish: { vip: front, port: 8080, protocol: http }"));
        Assert.Equal((8081, 8080), (map.Spec.Services["web"].Publish[0].Port, map.Spec.Services["jobs"].Publish[0].Port));
    }

    [Fact]
    public void Map_ASecondPrivateLink_GetsItsOwnNetwork()
    {
        var text = Examples.Web.Replace("[10.10.0.0/24]", "[10.10.0.0/24, 10.20.0.0/24]", StringComparison.Ordinal);
        foreach (var host in new[] { "11", "12", "13" })
            text = text.Replace($"[10.10.0.{host}]", $"[10.10.0.{host}, 10.20.0.{host}]", StringComparison.Ordinal);
        var node = Map(text).Spec.Nodes[new NodeName("n3")];
        Assert.Equal([IPAddress.Parse("127.77.1.3"), IPAddress.Parse("127.77.11.3")], node.Private);
    }

    [Fact]
    public void Map_CommandsRunBesideTheFile() =>
        Assert.Equal("/srv/shop", ((ProcessDriverSpec)Map(Examples.Web).Spec.Services["web"].Driver).WorkingDirectory);
}

using System.Net;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Preflight;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Preflight;

/// <summary>What of a preflight needs no server: reading what the system says, judging, accepting.</summary>
public sealed class PreflightPartsTests
{
    private const string Interfaces = """
        [{"ifindex":2,"ifname":"eth0","flags":["BROADCAST","UP","LOWER_UP"],"mtu":1500,"address":"02:00:00:00:00:01","addr_info":[{"family":"inet","local":"203.0.113.11","prefixlen":24}]},
         {"ifindex":3,"link":"eth0","ifname":"eth0.7","flags":["UP","LOWER_UP"],"mtu":1500,"address":"02:00:00:00:00:01","linkinfo":{"info_kind":"vlan"},"addr_info":[{"family":"inet","local":"10.0.7.11","prefixlen":24},{"family":"inet6","local":"fd00::1","prefixlen":64}]},
         {"ifindex":4,"ifname":"eth1","master":"bond0","flags":["UP"],"mtu":9000,"address":"02:00:00:00:00:02","addr_info":[]},
         {"ifindex":5,"ifname":"bond0","flags":["UP","LOWER_UP"],"linkinfo":{"info_kind":"bond"},"mtu":9000,"address":"02:00:00:00:00:02","addr_info":[{"family":"inet","local":"10.0.8.11","prefixlen":20}]},
         {"ifindex":6,"link":"veth9","link_netnsid":0,"ifname":"veth8","flags":["UP","LOWER_UP"],"linkinfo":{"info_kind":"veth"},"mtu":1500,"address":"02:00:00:00:00:03","addr_info":[]},{}]
        """;

    [Fact]
    public void Interfaces_AsIproute2TellsOfThem()
    {
        var links = LinkTable.Parse(Interfaces);
        var vlan = links.With(IPAddress.Parse("10.0.7.11"))!;
        Assert.Equal(("eth0.7", "vlan", "eth0", true), (vlan.Name, vlan.Kind, vlan.Below, vlan.Up));
        Assert.Equal("eth0", links.Root(vlan).Name);
        Assert.Same(vlan, links.With(IPAddress.Parse("fd00::1")));
        Assert.Contains(IPNetwork.Parse("fd00::/64"), vlan.Networks);
        Assert.Equal([IPNetwork.Parse("10.0.0.0/20")], links.With(IPAddress.Parse("10.0.8.11"))!.Networks);
        Assert.Null(links.With(IPAddress.Parse("10.9.9.9")));
    }

    [Fact]
    public void NeighbourAdvertisement_NamesItsClaimant_AndNothingElseDoes()
    {
        var address = IPAddress.Parse("2001:db8::10");
        byte[] advertisement = [136, 0, 0, 0, 0x20, 0, 0, 0, .. address.GetAddressBytes(), 2, 1, 2, 0, 0, 0, 0, 9];
        Assert.Equal("02:00:00:00:00:09", NeighbourProbe.Claimant(advertisement, address));
        Assert.Null(NeighbourProbe.Claimant(advertisement, IPAddress.Parse("2001:db8::11")));
        Assert.Null(NeighbourProbe.Claimant(advertisement.AsSpan(0, 20), address));
        advertisement[0] = 135;
        Assert.Null(NeighbourProbe.Claimant(advertisement, address));
    }

    [Theory]
    [InlineData(0.0, 0.001, PreflightVerdict.Passed)]
    [InlineData(0.004, 0.0001, PreflightVerdict.Passed)]
    [InlineData(0.006, 0.0001, PreflightVerdict.Failed)]
    [InlineData(-0.02, 0.001, PreflightVerdict.Failed)]
    // A measurement that is too coarse proves nothing.
    [InlineData(0.02, 0.02, PreflightVerdict.Passed)]
    public void ClockRate_IsJudgedByHalfOfTheBound_LessTheError(double difference, double error, PreflightVerdict verdict) =>
        Assert.Equal(verdict, ClockComparison.Rate(new NodeName("n1"), new NodeName("n2"), difference, error, 0.01).Verdict);

    [Fact]
    public void Accepted_Failures_CountNoMore_AndAreStillSaid()
    {
        var report = new PreflightReport("shop", ["n1"], DateTimeOffset.UnixEpoch,
            [new(PreflightVerdict.Failed, "networks-apart", "n1", "one interface"), new(PreflightVerdict.Warning, "clock", "n1", "drifts"), new(PreflightVerdict.Passed, "disk", "n1", "fast")]);
        Assert.Equal(PreflightVerdict.Failed, report.Verdict);
        Assert.Equal(PreflightVerdict.Warning, report.Accepting(["networks-apart"]).Verdict);
        Assert.Equal(PreflightVerdict.Passed, report.Accepting(["networks-apart", "clock", "disk"]).Verdict);
        Assert.Equal(3, report.Accepting(["networks-apart"]).Findings.Count);
    }

    [Fact]
    public void Node_IsGuessedByItsPrivateAddresses_OrNotAtAll()
    {
        var spec = ClusterFile.Parse(File.ReadAllText(Path.Combine(Repository.Root, "examples", "web", "cluster.yaml"))).Spec!;
        Assert.Equal(new NodeName("n2"), PreflightSubject.Guess(spec, [IPAddress.Loopback, IPAddress.Parse("10.77.0.12")]));
        Assert.Null(PreflightSubject.Guess(spec, [IPAddress.Parse("10.77.0.11"), IPAddress.Parse("10.77.0.12")]));
        Assert.Null(PreflightSubject.Guess(spec, [IPAddress.Parse("203.0.113.11")]));
    }
}

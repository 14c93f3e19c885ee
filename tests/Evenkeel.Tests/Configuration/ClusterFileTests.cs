using System.Net;
using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

public sealed class ClusterFileTests
{
    [Fact]
    public void Parse_TheExample_FindsNothingWrong() => Assert.Empty(ClusterFile.Parse(Examples.Web).Diagnostics);

    [Fact]
    public void Parse_TheExample_ReadsNetworksNodesAndVips()
    {
        var spec = Examples.Spec(Examples.Web);
        Assert.Equal("shop", spec.Cluster);
        Assert.Equal(IPNetwork.Parse("203.0.113.0/24"), spec.Networks.Public);
        Assert.Equal(24, spec.Vips["front"].PrefixLength);
        Assert.Equal(NodeRole.Witness, spec.Nodes[new NodeName("n3")].Role);
        Assert.Null(spec.Nodes[new NodeName("n3")].Public);
        var fence = spec.Nodes[new NodeName("n1")].Fence!;
        Assert.Equal("fence_ipmilan", fence.Agent);
        Assert.Equal("/etc/evenkeel/n1", Assert.Single(fence.Parameters, pair => pair.Key == "password_file").Value);
    }

    [Fact]
    public void Parse_TwoPublicNetworks_EachVipHasThePrefixOfItsOwn()
    {
        var spec = Examples.Spec(Examples.Spoil("public: 203.0.113.0/24", "public: [203.0.113.0/24, \"2001:db8::/64\"]")
            .Replace("front: 203.0.113.10 ", "front: 203.0.113.10, six: \"2001:db8::10\" ", StringComparison.Ordinal)
            .Replace("public: 203.0.113.11,", "public: [203.0.113.11, \"2001:db8::11\"],", StringComparison.Ordinal));
        Assert.Equal([IPNetwork.Parse("203.0.113.0/24"), IPNetwork.Parse("2001:db8::/64")], spec.Networks.AllPublic);
        Assert.Equal((24, 64), (spec.Vips["front"].PrefixLength, spec.Vips["six"].PrefixLength));
        var node = spec.Nodes[new NodeName("n1")];
        Assert.Equal(IPAddress.Parse("203.0.113.11"), node.Public);
        Assert.Equal([IPAddress.Parse("2001:db8::11")], node.FurtherPublic);
    }

    [Fact]
    public void Parse_AHotService_IsSpreadOverEveryNodeThatIsNoWitness()
    {
        var web = Examples.Spec(Examples.Web).Services["web"];
        Assert.Equal((Redundancy.Hot, Activity.Spread, 2), (web.Redundancy, web.Activity, web.Instances));
        Assert.Equal(5000, Assert.IsType<ProcessDriverSpec>(web.Driver).Port);
        Assert.Equal((ProbeKind.Http, "/healthz", TimeSpan.FromMilliseconds(100)), (web.Health!.Kind, web.Health.Path, web.Health.Every));
        Assert.Equal(new ObjectivesSpec(TimeSpan.FromSeconds(1), TimeSpan.Zero), web.Objectives);
        Assert.False(Assert.Single(web.Publish).ToPrimary);
    }

    [Fact]
    public void Parse_AColdService_IsSingleActive()
    {
        var jobs = Examples.Spec(Examples.Web).Services["jobs"];
        Assert.Equal((Activity.SingleActive, 1), (jobs.Activity, jobs.Instances));
        Assert.Equal(["web"], jobs.DependsOn);
    }

    [Fact]
    public void Parse_AHotServiceDeclaredSingle_HasOneOwnerAndItsDoorsGoThere()
    {
        var web = Examples.Spec(Examples.Spoil("redundancy: hot", "redundancy: hot\n    activity: single")).Services["web"];
        Assert.Equal((Activity.SingleActive, 1, true), (web.Activity, web.Instances, web.Publish[0].ToPrimary));
    }

    [Fact]
    public void Parse_AServicePort_OutranksTheOneInTheCommand() =>
        Assert.Equal(6000, ((ProcessDriverSpec)Examples.Spec(Examples.Spoil("redundancy: hot", "redundancy: hot\n    port: 6000")).Services["web"].Driver).Port);

    [Fact]
    public void Parse_TimingsLeftOut_AreTheDefaults_AndGivenOnesReplaceThem()
    {
        Assert.Equal(Timings.Default, Examples.Spec(Examples.Web).Timings);
        var slow = Examples.Spec(Examples.Web + "\ntimings: { beat: 200ms, lease: 1s, detection: 1s }").Timings;
        Assert.Equal(Timings.Default with { Beat = TimeSpan.FromMilliseconds(200), Lease = TimeSpan.FromSeconds(1), Detection = TimeSpan.FromSeconds(1) }, slow);
    }

    [Fact]
    public void Parse_ExternalCoordination_KeepsItsUrls()
    {
        var coordination = Examples.Spec(Examples.Web + "\ncoordination: { external: [\"https://10.10.0.1:2379\"] }").Coordination;
        Assert.Equal(CoordinationKind.External, coordination.Kind);
        Assert.Equal(new Uri("https://10.10.0.1:2379"), Assert.Single(coordination.Endpoints!));
    }

    [Fact]
    public void Parse_AnchorsAndSingleValuesForLists_AreUnderstood()
    {
        var text = Examples.Spoil("n2: { public: 203.0.113.12, private: [10.10.0.12] }", "n2: { public: 203.0.113.12, private: 10.10.0.12 }")
            .Replace("command: [./jobs]", "command: ./jobs, environment: *shared", StringComparison.Ordinal)
            .Replace("[./shop, --urls, \"http://{private}:5000\"]", "[./shop, \"{private}:5000\"], environment: &shared { MODE: fast }", StringComparison.Ordinal);
        var spec = Examples.Spec(text);
        Assert.Equal(IPAddress.Parse("10.10.0.12"), Assert.Single(spec.Nodes[new NodeName("n2")].Private));
        Assert.Equal("fast", ((ProcessDriverSpec)spec.Services["jobs"].Driver).Environment["MODE"]);
    }

    [Fact]
    public void Parse_Ipv6_IsAsGoodAsIpv4()
    {
        var spec = Examples.Spec(Examples.Web.Replace("203.0.113.0/24", "2001:db8:1::/64", StringComparison.Ordinal).Replace("203.0.113.", "2001:db8:1::", StringComparison.Ordinal)
            .Replace("10.10.0.0/24", "fd00:1::/64", StringComparison.Ordinal).Replace("10.10.0.", "fd00:1::", StringComparison.Ordinal));
        Assert.Equal((IPAddress.Parse("2001:db8:1::10"), 64), (spec.Vips["front"].Address, spec.Vips["front"].PrefixLength));
    }

    [Fact]
    public void Read_AFileThatIsNotThere_IsADiagnosticNotAnException()
    {
        var result = ClusterFile.Read("/nonexistent/cluster.yaml");
        Assert.Null(result.Spec);
        Assert.Equal("there is no such file", Assert.Single(result.Diagnostics).Message);
    }
}

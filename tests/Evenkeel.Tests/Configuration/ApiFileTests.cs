using System.Net;
using Evenkeel.Agent.Api;
using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>The cluster file's <c>api:</c>.</summary>
public sealed class ApiFileTests
{
    private static ClusterFileResult Parse(string api) => ClusterFile.Parse(Examples.Web + "\n" + api);

    [Fact]
    public void Api_LeftOut_IsServedNowhere()
    {
        var spec = ClusterFile.Parse(Examples.Web).Spec!;
        Assert.Null(spec.Api);
        Assert.Empty(ApiServer.EndpointsOf(spec, new NodeName("n1")));
    }

    [Theory]
    [InlineData("api: {}", "10.10.0.11:7807")]
    [InlineData("api: { port: 8443 }", "10.10.0.11:8443")]
    [InlineData("api: { listen: public }", "203.0.113.11:7807")]
    [InlineData("api: { listen: both }", "10.10.0.11:7807 203.0.113.11:7807")]
    public void Api_IsServedOnTheNodesOwnAddresses_ThePrivateOnesUnlessSaidOtherwise(string api, string expected) =>
        Assert.Equal(expected.Split(' ').Select(IPEndPoint.Parse), ApiServer.EndpointsOf(Parse(api).Spec!, new NodeName("n1")));

    [Theory]
    [InlineData("api: { port: 7801 }", "api.port")]
    [InlineData("api: { port: 0 }", "api.port")]
    [InlineData("api: { listen: anywhere }", "api.listen")]
    [InlineData("api: { listens: private }", "api")]
    public void Api_ThatCannotBe_IsAnErrorAtItsKey(string api, string at)
    {
        var result = Parse(api);
        Assert.Null(result.Spec);
        Assert.Contains(result.Diagnostics, found => found.ToString().Contains(at, StringComparison.Ordinal));
    }

    [Fact]
    public void Api_OnThePublicNetwork_IsWarnedOf() =>
        Assert.Contains(Parse("api: { listen: both }").Diagnostics, found => found.ToString().Contains("tokens alone keep them out", StringComparison.Ordinal));

    [Fact]
    public void Api_Changed_TouchesNothingThatRuns()
    {
        var changes = SpecDiff.Between(ClusterFile.Parse(Examples.Web).Spec!, Parse("api: { port: 8443 }").Spec!);
        Assert.NotEmpty(changes);
        Assert.All(changes, change => Assert.Equal(ChangeEffect.None, change.Effect));
    }
}

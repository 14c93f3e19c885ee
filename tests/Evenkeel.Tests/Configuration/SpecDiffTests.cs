using Evenkeel.Agent.Configuration;
using Xunit;

namespace Evenkeel.Tests.Configuration;

public sealed class SpecDiffTests
{
    private static IReadOnlyList<SpecChange> Diff(string good, string bad) =>
        SpecDiff.Between(Examples.Spec(Examples.Web), Examples.Spec(Examples.Spoil(good, bad)));

    [Fact]
    public void Between_ASpecAndItself_IsNothing() => Assert.Empty(SpecDiff.Between(Examples.Spec(Examples.Web), Examples.Spec(Examples.Web)));

    [Fact]
    public void Between_OnlyComments_IsNothing() => Assert.Empty(Diff("cluster: shop", "# the shop\ncluster: shop"));

    [Theory]
    [InlineData("rto: 1s", "rto: 2s", "services.web.objectives.rto", "1s", "2s", ChangeEffect.None)]
    [InlineData("[./jobs]", "[./jobs, --fast]", "services.jobs.process.command", "[./jobs]", "[./jobs, --fast]", ChangeEffect.Restarts)]
    [InlineData("front: 203.0.113.10 ", "front: 203.0.113.20 ", "vips.front.address", "203.0.113.10/24", "203.0.113.20/24", ChangeEffect.Stops)]
    [InlineData("fall: 2", "fall: 3", "services.web.health.fall", "2", "3", ChangeEffect.None)]
    [InlineData("cluster: shop", "cluster: store", "cluster", "shop", "store", ChangeEffect.Impossible)]
    public void Between_OneChangedKey_SaysWhatAndItsEffect(string good, string bad, string path, string before, string after, ChangeEffect effect)
    {
        var change = Assert.Single(Diff(good, bad));
        Assert.Equal((ChangeKind.Changed, path, before, after, effect), (change.Kind, change.Path, change.Before, change.After, change.Effect));
    }

    [Fact]
    public void Between_AServiceRemoved_IsOneChangeThatStopsIt()
    {
        var jobs = Examples.Web[Examples.Web.IndexOf("  jobs:", StringComparison.Ordinal)..];
        var change = Assert.Single(Diff(jobs, ""));
        Assert.Equal((ChangeKind.Removed, "services.jobs", ChangeEffect.Stops), (change.Kind, change.Path, change.Effect));
    }

    [Fact]
    public void Between_NothingAndASpec_StartsEveryServiceOnce()
    {
        var changes = SpecDiff.Between(null, Examples.Spec(Examples.Web));
        Assert.Equal(["services.jobs", "services.web"], changes.Where(change => change.Path.StartsWith("services", StringComparison.Ordinal)).Select(change => change.Path));
        Assert.Contains("2 instances start", Assert.Single(changes, change => change.Path == "services.web").Consequence, StringComparison.Ordinal);
    }

    [Fact]
    public void Between_ANodeAdded_AlsoAddsAHotInstance()
    {
        var changes = Diff("  n3:", "  n4: { private: [10.10.0.14], votes: false }\n  n3:");
        Assert.Equal(["nodes.n4", "services.web.instances"], changes.Select(change => change.Path));
        Assert.All(changes, change => Assert.Equal(ChangeEffect.Starts, change.Effect));
    }

    [Fact]
    public void Between_AChangedSecret_NeverShowsIt()
    {
        var with = Examples.Spec(Examples.Spoil("password_file: /etc/evenkeel/n1", "password: hunter2"));
        var change = Assert.Single(SpecDiff.Between(with, Examples.Spec(Examples.Spoil("password_file: /etc/evenkeel/n1", "password: hunter3"))));
        Assert.DoesNotContain("hunter", change.Before + change.After, StringComparison.Ordinal);
    }
}

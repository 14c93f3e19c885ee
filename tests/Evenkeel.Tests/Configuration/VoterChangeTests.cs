using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

public sealed class VoterChangeTests
{
    [Fact]
    public void WhyNot_SameVoters_IsFineWhoeverLags() => Assert.Null(VoterChange.WhyNot(With("n1", "n2", "n3"), With("n1", "n2", "n3"), [new("n2")]));

    [Theory]
    [InlineData("n1 n2 n3", "n1 n2 n3 n4")]
    [InlineData("n1 n2 n3 n4", "n1 n2 n4")]
    public void WhyNot_OneVoterMoreOrLess_IsFine(string before, string after) => Assert.Null(VoterChange.WhyNot(With(before.Split(' ')), With(after.Split(' ')), []));

    [Theory]
    [InlineData("n1 n2 n3", "n1 n2 n4", "n3, n4")]
    [InlineData("n1 n2 n3", "n1 n2 n3 n4 n5", "n4, n5")]
    public void WhyNot_TwoAtOnce_NamesThemAndTheWay(string before, string after, string named)
    {
        var (why, mend) = VoterChange.WhyNot(With(before.Split(' ')), With(after.Split(' ')), [])!.Value;
        Assert.Contains($"({named})", why, StringComparison.Ordinal);
        Assert.Contains("add the new one first", mend, StringComparison.Ordinal);
    }

    [Fact]
    public void WhyNot_LastChangeIsStillUnderWay_SaysWhereItIsMissing() =>
        Assert.Contains("n2", VoterChange.WhyNot(With("n1", "n2", "n3"), With("n1", "n2", "n3", "n4"), [new("n2")])!.Value.Why, StringComparison.Ordinal);

    // Every pair of voter sets of up to five nodes that is allowed: no majority of the one misses a majority of the other.
    [Fact]
    public void WhyNot_NothingAgainstIt_EveryTwoMajoritiesMeet()
    {
        string[] names = ["n1", "n2", "n3", "n4", "n5"];
        var sets = Enumerable.Range(1, 31).Select(bits => names.Where((_, index) => (bits >> index & 1) == 1).ToArray()).ToList();
        foreach (var before in sets)
            foreach (var after in sets)
                if (VoterChange.WhyNot(With(before), With(after), []) is null)
                    foreach (var one in sets.Where(set => set.All(before.Contains) && set.Length * 2 > before.Length))
                        foreach (var other in sets.Where(set => set.All(after.Contains) && set.Length * 2 > after.Length))
                            Assert.True(one.Intersect(other).Any(), $"{string.Join(' ', one)} of {string.Join(' ', before)}, {string.Join(' ', other)} of {string.Join(' ', after)}");
    }

    private static ClusterSpec With(params string[] voters)
    {
        var spec = Examples.Spec(Examples.Web);
        var node = spec.Nodes.Values.First();
        return spec with { Nodes = voters.Select(name => node with { Name = new NodeName(name), Votes = true }).ToDictionary(one => one.Name) };
    }
}

using Xunit;

namespace Evenkeel.Simulation;

/// <summary>CI's share of the simulation; `--minutes N` is the long run.</summary>
public sealed class SeedTests
{
    private const int CiSeeds = 240, QuorumSeeds = 80;

    [Fact]
    public void EverySeed_UnderFaults_KeepsEveryInvariant()
    {
        var failed = Run.Many(1, CiSeeds, Bug.None);
        Assert.True(failed.Count == 0, string.Join("\n", failed.Select(outcome => Run.HowToReplay(outcome, Bug.None))));
    }

    [Fact]
    public void EverySeed_WithCommitsByQuorum_KeepsEveryInvariant()
    {
        var quorum = Bug.None with { Quorum = true };
        var failed = Run.Many(1, QuorumSeeds, quorum);
        Assert.True(failed.Count == 0, string.Join("\n", failed.Select(outcome => Run.HowToReplay(outcome, quorum))));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(7)]
    public void Seed_RunTwice_IsTheSameByteForByte(ulong seed)
    {
        var first = Run.Seed(seed, Bug.None, traced: true);
        var second = Run.Seed(seed, Bug.None, traced: true);
        Assert.Equal(first.Trace, second.Trace);
        Assert.Equal(first.Hash, second.Hash);
        Assert.Contains("fault:", first.Trace, StringComparison.Ordinal);
    }
}

/// <summary>The simulator notices what it is there for: each safety rule left out once is found.</summary>
public sealed class PlantedBugTests
{
    public static TheoryData<string> Names => [.. Bug.All.Where(bug => bug.Seeds > 0).Select(bug => bug.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Bug_Planted_IsFoundWithinItsSeeds(string name)
    {
        var bug = Bug.Named(name);
        var found = Run.Many(1, bug.Seeds, bug, untilFound: true);
        Assert.True(found.Count > 0, $"{bug.Name} was not found in {bug.Seeds} seeds");
    }
}

using Evenkeel.Core.PrivateConnection.Leases;
using Xunit;

namespace Evenkeel.Tests.PrivateConnection.LeaseModel;

public sealed class LeaseModelTests
{
    private const double Milliseconds = 8_000;

    [Fact]
    public void Guards_UnderRandomFaults_NeverOpenTwoDoors()
    {
        var decisions = 0;
        double owned = 0;
        const int Seeds = 300;
        for (var seed = 0; seed < Seeds; seed++)
        {
            var world = new LeaseWorld(seed, LeaseRules.All, seed % 2 == 0 ? 0.02 : 0.2);
            world.Run(Milliseconds);
            Assert.True(world.Violation is null, $"seed {seed}: {world.Violation}");
            decisions += world.Decisions;
            owned += world.OwnedFor;
        }
        // The model must really move ownership about, or it proves nothing.
        Assert.True(decisions > 3_000, $"only {decisions} decisions");
        Assert.True(owned > 0.15 * Seeds * Milliseconds, $"owned only {owned / (Seeds * Milliseconds):P0} of the time");
        TestContext.Current.TestOutputHelper?.WriteLine($"{decisions} decisions, owned {owned / (Seeds * Milliseconds):P0}");
    }

    [Theory]
    [InlineData(nameof(LeaseRules.Promise), 400)]
    [InlineData(nameof(LeaseRules.Wait), 400)]
    [InlineData(nameof(LeaseRules.Majority), 400)]
    [InlineData(nameof(LeaseRules.CountFromAsking), 400)]
    [InlineData(nameof(LeaseRules.ReleaseNamesEpoch), 400)]
    [InlineData(nameof(LeaseRules.DriftBound), 400)]
    [InlineData(nameof(LeaseRules.RestartRule), 400)]
    [InlineData(nameof(LeaseRules.CloseAtDeadline), 400)]
    [InlineData(nameof(LeaseRules.FencingNamesEpoch), 400)]
    [InlineData(nameof(LeaseRules.CloseBeforeRelease), 400)]
    public void Guards_WithOneRuleLeftOut_AreCaught(string rule, int withinSeeds)
    {
        var rules = WithoutRule(rule);
        for (var seed = 0; seed < withinSeeds; seed++)
        {
            // Real clocks drift less than the margins with which doors close, so this one rule is tried with clocks far apart.
            var world = new LeaseWorld(seed, rules, rules.DriftBound ? 0.02 : 0.2);
            world.Run(Milliseconds);
            if (world.Violation is null) continue;
            TestContext.Current.TestOutputHelper?.WriteLine($"without {rule}: seed {seed}, {world.Violation}");
            return;
        }
        Assert.Fail($"without {rule} no violation in {withinSeeds} seeds");
    }

    private static LeaseRules WithoutRule(string rule) => rule switch
    {
        nameof(LeaseRules.Promise) => LeaseRules.All with { Promise = false },
        nameof(LeaseRules.Wait) => LeaseRules.All with { Wait = false },
        nameof(LeaseRules.Majority) => LeaseRules.All with { Majority = false },
        nameof(LeaseRules.CountFromAsking) => LeaseRules.All with { CountFromAsking = false },
        nameof(LeaseRules.ReleaseNamesEpoch) => LeaseRules.All with { ReleaseNamesEpoch = false },
        nameof(LeaseRules.DriftBound) => LeaseRules.All with { DriftBound = false },
        nameof(LeaseRules.RestartRule) => LeaseRules.All with { RestartRule = false },
        nameof(LeaseRules.CloseAtDeadline) => LeaseRules.All with { CloseAtDeadline = false },
        nameof(LeaseRules.FencingNamesEpoch) => LeaseRules.All with { FencingNamesEpoch = false },
        nameof(LeaseRules.CloseBeforeRelease) => LeaseRules.All with { CloseBeforeRelease = false },
        _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "no such rule"),
    };
}

using Evenkeel.Agent.Trust;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Trust;

/// <summary>The guards' key changes while guards hear of it at any time and in any order: what one seals the others always open.</summary>
public sealed class GuardKeyPlanTests
{
    private static readonly DateTimeOffset now = DateTimeOffset.UnixEpoch.AddDays(100);
    private static readonly NodeName[] names = [new("n1"), new("n2"), new("n3")];

    private static TrustReport Report(NodeName node, int seals, params int[] keys) => new(node, [], null, null, "", now, keys, seals);

    private static GuardKeyRing Old => new(new Dictionary<int, byte[]> { [4] = [4] }, 4, now - GuardKeyPlan.Period, 0);

    private static GuardKeyRing? Next(GuardKeyRing ring, params TrustReport[] reports) => GuardKeyPlan.Next(ring, reports, now, () => [9]);

    [Fact]
    public void Next_KeyIsAWeekOld_GetsASuccessorThatDoesNotSealYet()
    {
        var all = names.Select(name => Report(name, 4, 4)).ToArray();
        Assert.Null(Next(Old with { Since = now - GuardKeyPlan.Period + TimeSpan.FromSeconds(1) }, all));
        var next = Next(Old, all)!;
        Assert.Equal([4, 5], next.Keys.Keys.Order());
        Assert.Equal(4, next.Seals);
    }

    [Fact]
    public void Next_KeyIsUnwanted_IsReplacedWhateverItsAge_AndOnlyOnce()
    {
        var ring = Old with { Since = now, Unwanted = 4 };
        for (var step = 0; step < 3; step++)
        {
            ring = Next(ring, [.. names.Select(name => Report(name, ring.Seals, [.. ring.Keys.Keys]))])!;
        }

        Assert.Equal((5, 5, 0), (Assert.Single(ring.Keys.Keys), ring.Seals, ring.Unwanted));
        Assert.Null(Next(ring, [.. names.Select(name => Report(name, 5, 5))]));
    }

    [Fact]
    public void Next_UnwantedWhileOneIsBeingReplaced_TheKeyThatTheLeaverMayHaveSeenGoesToo()
    {
        var ring = Old;
        for (var step = 0; step < 6; step++)
        {
            ring = Next(ring, [.. names.Select(name => Report(name, ring.Seals, [.. ring.Keys.Keys]))])!;
            // Asked for when key 5 is known already.
            ring = step == 0 ? ring with { Unwanted = 5 } : ring;
        }

        Assert.Equal((6, 0), (Assert.Single(ring.Keys.Keys), ring.Unwanted));
    }

    [Fact]
    public void Next_AGuardThatHasNotSaidWhatItHas_KeepsEverythingAsItIs()
    {
        Assert.Null(Next(Old, Report(names[0], 4, 4), Report(names[1], 0)));
        Assert.Null(Next(Old));
    }

    [Fact]
    public void Next_WhateverTheOrder_EveryGuardOpensWhatEveryOtherSeals_AndItEnds()
    {
        for (var seed = 0; seed < 500; seed++)
        {
            Assert.Null(Run(seed, Next));
        }
    }

    [Fact]
    public void Next_WithoutWaitingForTheGuards_IsFoundOut()
    {
        // Each step at once, as if every guard had reported.
        Assert.Contains(Enumerable.Range(0, 100), seed => Run(seed, (ring, _) => Next(ring, [.. names.Select(name => Report(name, ring.Seals, [.. ring.Keys.Keys]))])) is not null);
    }

    private static string? Run(int seed, Func<GuardKeyRing, TrustReport[], GuardKeyRing?> plan)
    {
        var random = new Random(seed);
        var ring = Old;
        var guards = names.ToDictionary(name => name, _ => (Keys: new[] { 4 }, Seals: 4));
        var reports = names.ToDictionary(name => name, name => Report(name, 0));
        for (var step = 0; step < 2000; step++)
        {
            var node = names[random.Next(names.Length)];
            switch (random.Next(3))
            {
                case 0: guards[node] = ([.. ring.Keys.Keys], ring.Seals); break;
                case 1: reports[node] = Report(node, guards[node].Seals, guards[node].Keys); break;
                default: ring = plan(ring, [.. reports.Values]) ?? ring; break;
            }

            if (guards.Values.FirstOrDefault(one => guards.Values.Any(other => !other.Keys.Contains(one.Seals))) is { Keys: not null } deaf)
            {
                return $"seed {seed}, step {step}: not every guard opens key {deaf.Seals}";
            }

            if (guards.Values.All(one => one.Keys is [5]))
            {
                return null;
            }
        }

        return $"seed {seed}: it did not end";
    }
}

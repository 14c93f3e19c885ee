using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>
/// The steps of a sync set by quorum: what commits wait for promises at every moment at least what is committed, whatever is
/// lost, joins, or is asked for, and whichever of two settings is in effect while one replaces the other.
/// </summary>
public sealed class QuorumStepTests
{
    private static readonly NodeName owner = new("n0");
    private static readonly NodeName[] nodes = [new("n1"), new("n2"), new("n3"), new("n4")];

    [Fact]
    public void Standbys_Join_TheWeakerPromiseFirstAndTheStrongerWhenProven()
    {
        var step = Of(Set([], 0), wanted: 1, joining: nodes[..2]);
        Assert.Equal(0, step.Now!.Any);
        Assert.True(step.Now.IsQuorum);
        step = Of(step.Now, wanted: 1);
        Assert.Null(step.Now);
        Assert.Equal(nodes[..2], step.Required);
        Assert.Equal((1, 1), (step.Any, step.Then!.Copies));
        step = Of(step.Then, wanted: 1);
        Assert.Null(step.Now);
        Assert.Null(step.Then);
    }

    [Fact]
    public void Standby_LostOfMoreThanNeeded_CommitsStopCountingOnItFirst()
    {
        var step = Of(Set(nodes[..3], 1), wanted: 1, lost: nodes[..1]);
        Assert.Null(step.Now);
        Assert.Equal(nodes[1..3], step.Required);
        Assert.Equal(nodes[1..3], step.Then!.Standbys);
        Assert.Equal(1, step.Then.Copies);
    }

    [Fact]
    public void Standby_LostThatIsNeeded_TheWeakerPromiseIsCommittedFirst()
    {
        var step = Of(Set(nodes[..2], 2), wanted: 2, lost: nodes[..1]);
        Assert.Equal(nodes[..2], step.Required);
        Assert.Equal(2, step.Any);
        Assert.Equal(nodes[1..2], step.Now!.Standbys);
        Assert.Equal(1, step.Now.Copies);
    }

    [Fact]
    public void Set_WithKOfN_AsksAllButKMinusOne()
    {
        Assert.Equal(2, Set(nodes[..2], 1).Ask);
        Assert.Equal(3, Set(nodes, 2).Ask);
        Assert.Equal(1, Set(nodes, 4).Ask);
        Assert.False(Set(nodes, 4).IsQuorum);
        Assert.True(Set(nodes, 0).Ask > nodes.Length); // nobody but the owner
    }

    /// <summary>Ten thousand steps at random: ANY a of L satisfies (S, k) if a - |L without S| is at least k.</summary>
    [Fact]
    public void Steps_AtRandom_NeverPromiseMoreThanCommitsWaitFor()
    {
        var chance = new Random(5);
        for (var run = 0; run < 500; run++)
        {
            var set = Set([], 0);
            (IReadOnlyList<NodeName> Nodes, int Any) inEffect = ([], 0);
            for (var turn = 0; turn < 20; turn++)
            {
                var lost = set.Standbys.Where(_ => chance.Next(4) == 0).ToList();
                var joining = nodes.Except(set.Standbys).Where(_ => chance.Next(3) == 0).ToList();
                var step = Of(set, chance.Next(1, 4), lost, joining, chance.Next(5) > 0);
                Satisfies((step.Required, step.Any), set);
                // The order takes effect or is still on its way; the record is committed or not.
                if (chance.Next(2) == 0) inEffect = (step.Required, step.Any);
                if (step.Now is { } now && chance.Next(2) == 0)
                {
                    Satisfies(inEffect, now);
                    Satisfies((step.Required, step.Any), now);
                    set = now;
                }
                else if (step.Then is { } then && inEffect == (step.Required, step.Any)) set = then;
                Satisfies(inEffect, set);
            }
        }

        static void Satisfies((IReadOnlyList<NodeName> Nodes, int Any) setting, SyncSet set) =>
            Assert.True(Math.Max(0, setting.Any - setting.Nodes.Except(set.Standbys).Count()) >= set.Copies, $"ANY {setting.Any} of {string.Join(',', setting.Nodes)} against {set.Copies} of {string.Join(',', set.Standbys)}");
    }

    private static SyncSet Set(IReadOnlyList<NodeName> standbys, int copies) =>
        new("db", new Epoch(1, 1), [owner, .. standbys]) { Any = copies < standbys.Count ? copies : null };

    private static QuorumStep Of(SyncSet set, int wanted, IReadOnlyList<NodeName>? lost = null, IReadOnlyList<NodeName>? joining = null, bool byQuorum = true) => QuorumStep.Of(
        new ServiceSpec
        {
            Name = "db", Redundancy = Redundancy.Hot, Activity = Activity.SingleActive, Instances = 5,
            Driver = new PostgreSqlDriverSpec { Data = "/d", Quorum = true, SynchronousStandbys = wanted },
        }, set, byQuorum, lost ?? [], joining ?? []);
}

using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>An instance whose agent said that another try would end as the last one did.</summary>
public sealed class BannedInstanceTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName other = new("n2");
    private readonly SmallAgent agent = new(self);
    private readonly Knowledge known;
    private readonly InstanceSide instances;

    public BannedInstanceTests()
    {
        (known, instances) = (agent.Known, agent.Instances);
        agent.Greet();
        Apply("/a");
        known.State = known.State with { Assignments = ImmutableSortedDictionary<string, Versioned<Assignment>>.Empty.Add("web", new(new Assignment("web", [self]), 3)) };
        var first = Assert.IsType<StartInstance>(Next());
        instances.OnChanged(new InstanceFacts("web", InstanceStatus.Failed, Health.Unhealthy) { Detail = "start: not installed" });
        instances.OnCompleted(new ActionCompleted(first.ActionId, ActionResult.Failure("start: not installed") with { Ban = Ban.Here }));
        known.Awake += TimeSpan.FromMinutes(5);
    }

    [Fact]
    public void Banned_IsNotTriedAgain_AndSaysWhy()
    {
        Assert.Null(Next());
        Assert.Equal((Ban.Here, InstanceStatus.Failed, "start: not installed"), Said());
    }

    [Fact]
    public void Banned_AndStoppedHere_StillSaysSo()
    {
        known.State = known.State with { Assignments = known.State.Assignments.Clear() };
        var stop = Assert.IsType<StopInstance>(Next());
        instances.OnChanged(new InstanceFacts("web", InstanceStatus.Stopped, Health.Unknown));
        instances.OnCompleted(new ActionCompleted(stop.ActionId, ActionResult.Success));
        Assert.Equal((Ban.Here, InstanceStatus.Failed, "start: not installed"), Said());
        AskForRestart();
        Assert.Null(Next());
        Assert.Empty(instances.Facts);
    }

    [Fact]
    public void Banned_AChangedSpec_IsTried()
    {
        Apply("/b");
        Assert.IsType<StartInstance>(Next());
    }

    [Fact]
    public void Banned_TheNodeIsResumed_IsTried()
    {
        instances.OnResumed();
        Assert.IsType<StartInstance>(Next());
    }

    [Fact]
    public void Banned_RestartIsAskedFor_IsTriedOnce()
    {
        AskForRestart();
        var stop = Assert.IsType<StopInstance>(Next());
        instances.OnChanged(new InstanceFacts("web", InstanceStatus.Stopped, Health.Unknown));
        instances.OnCompleted(new ActionCompleted(stop.ActionId, ActionResult.Success));
        var again = Assert.IsType<StartInstance>(Next());
        instances.OnChanged(new InstanceFacts("web", InstanceStatus.Failed, Health.Unhealthy));
        instances.OnCompleted(new ActionCompleted(again.ActionId, ActionResult.Failure("start: no permission") with { Ban = Ban.Here }));
        known.Awake += TimeSpan.FromMinutes(5);
        Assert.Null(Next());
        Assert.Equal((Ban.Here, InstanceStatus.Failed, "start: no permission"), Said());
    }

    /// <summary>n2, which failed with the new version and is assigned no longer, ends the roll: here the former one goes on.</summary>
    [Theory, InlineData(Ban.Everywhere), InlineData(Ban.Here)]
    public void RunningFormerVersion_AnotherNodeIsBannedWithTheNewOne_RunsOn(Ban ban)
    {
        instances.OnResumed();
        var start = Assert.IsType<StartInstance>(Next());
        instances.OnChanged(new InstanceFacts("web", InstanceStatus.Running, Health.Healthy) { Version = start.Order.Version });
        instances.OnCompleted(new ActionCompleted(start.ActionId, ActionResult.Success));
        Assert.Null(Next());
        Apply("/b");
        Others(ban);
        Assert.Null(Next());
        Others(Ban.None);
        Assert.IsType<StartInstance>(Next());
    }

    private void Others(Ban ban)
    {
        agent.Hear(other, new NodeFacts { Instances = [new InstanceFacts("web", InstanceStatus.Failed, Health.Unhealthy) { Ban = ban, Version = InstanceVersion.Of(known.Services["web"]) }] });
        agent.JudgePeers();
    }

    /// <summary>A start could make it seem well while its former life still acts.</summary>
    [Fact]
    public void Stuck_IsStoppedBeforeAnythingElse()
    {
        Apply("/b");
        instances.OnChanged(new InstanceFacts("web", InstanceStatus.Stuck, Health.Unhealthy));
        known.Awake += TimeSpan.FromMinutes(5);
        Assert.IsType<StopInstance>(Next());
    }

    private void AskForRestart()
    {
        var restart = new RestartRequest("web", self);
        known.State = known.State with { Restarts = known.State.Restarts.Add(restart.Key, new(restart, 9)) };
    }

    private (Ban, InstanceStatus, string) Said()
    {
        var said = Assert.Single(instances.Facts);
        return (said.Ban, said.Status, said.Detail);
    }

    private void Apply(string file) => known.State = known.State with
    {
        Incarnation = 1,
        Spec = new Versioned<ClusterSpec>(SmallSpec.Of([self, other], new ServiceSpec
        {
            Name = "web", Redundancy = Redundancy.Hot, Activity = Activity.Spread, Instances = 1,
            Driver = new OcfDriverSpec { Agent = "heartbeat:nginx", Parameters = new Dictionary<string, string> { ["configfile"] = file } },
        }), 1),
    };

    private InstanceAction? Next()
    {
        instances.Reconcile();
        return known.TakeEffects().OfType<InstanceAction>().SingleOrDefault();
    }
}

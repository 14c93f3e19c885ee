using System.Collections.Immutable;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>The app depends on the base: where both are to end the app ends first; where one of them is, nobody waits.</summary>
public sealed class StopOrderTests
{
    private static readonly NodeName self = new("n1");
    private static readonly NodeName other = new("n2");
    private static readonly ResourceId resource = ResourceId.Service("base");
    private static readonly HeldLease lease = new(resource, new Epoch(1, 1));
    private readonly SmallAgent agent = new(self);
    private readonly StateCodec codec = new("t");

    [Fact]
    public void Both_AreToEndHere_TheDependentFirst()
    {
        Begin(held: true);
        Assign(other);
        Free();
        Assert.Equal("app", Stops());
        Assert.Null(Stops()); // while it is stopping
        End("app");
        Assert.Equal("base", Stops());
    }

    [Fact]
    public void OnlyTheOtherIsToEnd_TheDependentDoesNotKeepIt()
    {
        Begin(held: true);
        Free();
        Assert.Equal("base", Stops());
    }

    [Fact]
    public void TheDependentCannotBeStopped_TheOtherEndsAllTheSame()
    {
        Begin(held: true);
        agent.Instances.OnChanged(Running("app") with { Status = InstanceStatus.Failed });
        Assign(other);
        Free();
        Assert.Equal("base", Stops()); // the app is told again after a pause
    }

    /// <summary>Whoever has no right any more ends at once, in whatever order.</summary>
    [Fact]
    public void TheOthersLeaseIsOver_NobodyIsWaitedFor()
    {
        Begin(held: false);
        Assign(other);
        Free();
        Assert.Equal("app base", Stops());
    }

    [Fact]
    public void Both_TakenOutOfTheFile_TheDependentEndsFirst_WhereverItRuns()
    {
        Begin(held: true);
        Hear(InstanceStatus.Running);
        Assign(other);
        Assert.Equal("app", Stops());
        End("app");
        Done("base"); // It was found running, and adopted.
        agent.Known.State = agent.Known.State with { Spec = new(SmallSpec.Of([self, other]), 9), Assignments = agent.Known.State.Assignments.Clear() };
        Free();
        Assert.Null(Stops());
        Hear(InstanceStatus.Stopping);
        Assert.Null(Stops());
        Hear(InstanceStatus.Stopped);
        Assert.Equal("base", Stops());
    }

    private void Begin(bool held)
    {
        agent.Greet(held ? [lease] : []);
        agent.Known.State = ClusterState.Empty with
        {
            Incarnation = 1,
            Spec = new(SmallSpec.Of([self, other], Service("app") with { DependsOn = ["base"] }, Service("base") with { Activity = Activity.SingleActive, Redundancy = Redundancy.Cold }), 1),
            Ownerships = ImmutableSortedDictionary<ResourceId, Versioned<Ownership>>.Empty.Add(resource, new(new Ownership(resource, new Owner(self, SmallAgent.Session, lease.Epoch), lease.Epoch), 2)),
        };
        Assign(self);
        agent.Instances.OnChanged(Running("app"));
        agent.Instances.OnChanged(Running("base") with { Epoch = lease.Epoch });
    }

    private void Assign(NodeName node) =>
        agent.Known.State = agent.Known.State with { Assignments = agent.Known.State.Assignments.SetItem("app", new(new Assignment("app", [node]), 3)) };

    private void Free()
    {
        var before = agent.Known.State.Ownerships[resource].Value;
        agent.Known.State = agent.Known.State with { Ownerships = agent.Known.State.Ownerships.SetItem(resource, new(before with { Current = null, Previous = self }, 4)) };
    }

    private void Hear(InstanceStatus status)
    {
        agent.Hear(other, new NodeFacts { Instances = status == InstanceStatus.Stopped ? [] : [Running("app") with { Status = status }] });
        agent.JudgePeers();
    }

    private void End(string service)
    {
        agent.Instances.OnChanged(new InstanceFacts(service, InstanceStatus.Stopped, Health.Unknown));
        Done(service);
    }

    private void Done(string service)
    {
        agent.Instances.OnCompleted(new ActionCompleted(agent.Instances.Instances[service].Action!.ActionId, ActionResult.Success));
    }

    /// <summary>Which are told to stop now, by name; null for none.</summary>
    private string? Stops()
    {
        agent.Guard.Reconcile(codec.Keys, agent.Instances.IsQuiet);
        agent.Instances.Reconcile();
        var stops = agent.Known.TakeEffects().OfType<StopInstance>().Select(stop => stop.Service).Order(StringComparer.Ordinal).ToList();
        return stops.Count == 0 ? null : string.Join(' ', stops);
    }

    private static InstanceFacts Running(string service) => new(service, InstanceStatus.Running, Health.Healthy) { ProcessId = 9 };

    private static ServiceSpec Service(string name) => new()
    {
        Name = name, Redundancy = Redundancy.Hot, Activity = Activity.Spread, Instances = 1, Driver = new ProcessDriverSpec { Command = ["./" + name] },
    };
}

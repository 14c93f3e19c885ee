using System.Collections.Immutable;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>What the controller decides about healthy owners that stand where a changed file would not have put them, on three nodes.</summary>
public sealed class StandingOwnerTests
{
    private static readonly NodeName n1 = new("n1"), n2 = new("n2"), n3 = new("n3");
    private readonly StateCodec codec = new("t");
    private readonly Dictionary<string, ServiceSpec> services = new() { ["a"] = Service("a"), ["b"] = Service("b") };
    private readonly Dictionary<NodeName, NodeMode> modes = [];
    private readonly HashSet<NodeName> lost = [];
    private double? capacity;

    [Fact]
    public void WhereNothingForbidsIt_ItStays() => Assert.Empty(Decided(("a", n1), ("b", n1)));

    [Fact]
    public void MustShareANode_TheOneThatDeclaresItFollowsTheOther()
    {
        Place("a", new() { With = ["b"] });
        Assert.Equal(["a leaves for n2: it must share a node with b: it moves to n2"], Decided(("a", n1), ("b", n2)));
    }

    [Theory, InlineData("a", "b"), InlineData("b", "a")]
    public void MustNotShareANode_TheOneThatDeclaresItYields(string declares, string other)
    {
        Place(declares, new() { Apart = [other] });
        Assert.StartsWith($"{declares} leaves for n2: it must not share a node with {other}", Assert.Single(Decided(("a", n1), ("b", n1))), StringComparison.Ordinal);
    }

    [Fact]
    public void MustNotShareANode_AndNoOtherIsThere_ItStays()
    {
        Place("a", new() { Apart = ["b"] });
        lost.UnionWith([n3]);
        modes[n2] = NodeMode.Draining;
        Assert.Empty(Decided(("a", n1), ("b", n1)));
    }

    [Fact]
    public void TheOtherIsOnItsWay_NobodyFollowsYet()
    {
        Place("a", new() { With = ["b"] });
        Assert.Empty(Decided(("a", n1), ("b", null)));
    }

    [Fact]
    public void NotEnoughRoom_TheLaterOneMoves()
    {
        capacity = 3;
        foreach (var name in services.Keys.ToList()) services[name] = services[name] with { Needs = new Dictionary<string, double> { ["memory"] = 2 } };
        Assert.Equal(["b leaves for n2: there is not enough memory for it: it moves to n2"], Decided(("a", n1), ("b", n1)));
    }

    [Theory, InlineData(0), InlineData(1000)]
    public void MerelyPreferred_MovesNothingWithoutFailback(int stickiness)
    {
        Place("a", new() { Prefer = [n2], Stickiness = stickiness });
        Place("b", new() { Avoid = [n1], Stickiness = stickiness });
        Assert.Empty(Decided(("a", n1), ("b", n1)));
    }

    [Fact]
    public void NodeIsDrained_WhatOthersDependOnLeavesAfterThem()
    {
        modes[n1] = NodeMode.Draining;
        services["b"] = services["b"] with { DependsOn = ["a"] };
        Assert.Equal(["b leaves for n2: the node is being drained: it moves to n2"], Decided(("a", n1), ("b", n1)));
        // It has been told, and has not ended; then it has.
        Assert.Empty(Decided(("a", n1), ("b", null)));
        Assert.StartsWith("a leaves for n", Assert.Single(Decided(("a", n1))), StringComparison.Ordinal);
    }

    private void Place(string service, PlacementSpec placement) => services[service] = services[service] with { Placement = placement };

    /// <summary>Everything runs on n1 that is not owned elsewhere; an owner of null has been told to leave n1.</summary>
    private IReadOnlyList<string> Decided(params (string Service, NodeName? Owner)[] owners)
    {
        var known = new Knowledge(n1, new PeerTable(n1, 1, twoWay: false)) { HasState = true, StoreReachable = true };
        var spec = SmallSpec.Of([n1, n2, n3], [.. services.Values.Where(service => owners.Any(owner => owner.Service == service.Name))]);
        spec = spec with { Nodes = spec.Nodes.ToDictionary(node => node.Key, node => node.Value with { Capacity = capacity is { } most ? new Dictionary<string, double> { ["memory"] = most } : new Dictionary<string, double>() }) };
        known.State = ClusterState.Empty with
        {
            Revision = 10,
            Incarnation = 1,
            Controller = new(new Controller(n1, 1), 1),
            Spec = new(spec, 2),
            Ownerships = owners.ToImmutableSortedDictionary(owner => ResourceId.Service(owner.Service), owner => new Versioned<Ownership>(
                new Ownership(ResourceId.Service(owner.Service), owner.Owner is { } node ? new Owner(node, Guard(node), new Epoch(1, 1)) : null, new Epoch(1, 1)) { Previous = n1 }, 3)),
            Nodes = modes.ToImmutableSortedDictionary(mode => mode.Key, mode => new Versioned<NodeRecord>(new NodeRecord(mode.Key, mode.Value), 4)),
        };
        foreach (var node in new[] { n1, n2, n3 }.Except(lost))
        {
            var here = owners.Where(owner => (owner.Owner ?? n1) == node).ToList();
            var facts = new NodeFacts
            {
                Guard = Guard(node), Ready = true,
                Instances = [.. here.Select(owner => new InstanceFacts(owner.Service, owner.Owner is null ? InstanceStatus.Stopping : InstanceStatus.Running, Health.Healthy) { Epoch = new Epoch(1, 1) })],
                Held = [.. here.Select(owner => new HeldLease(ResourceId.Service(owner.Service), new Epoch(1, 1)))],
            };
            if (node == n1) known.Own = facts;
            else known.Peers.Receive(new Beat { Sender = node, Session = 5, Sequence = 1, Revision = 10, Incarnation = 1, Facts = facts, Heard = [.. new[] { n1, n2, n3 }.Where(other => other != node).Select(other => new Echo(other, 1, 0))] }, known.Awake, known.Timings);
        }
        _ = known.Peers.Judge(known.Awake, known.Timings).ToList();

        var (memory, batch, desk) = (new ControllerMemory(known), new DecisionBatch(known, codec), new CommitDesk(known, new RequestIds(1)));
        new ServiceDecisions(known, memory, new OwnerJudge(known, memory), new FenceDecisions(known)).Decide(batch, settled: true);
        return [.. owners.Select(owner => batch.After(ResourceId.Service(owner.Service))!).Where(after => after.Reason.Length > 0)
            .Select(after => $"{after.Resource.Name} {(after.Current is { } current ? $"is on {current.Node}" : $"leaves for {after.Intended}")}: {after.Reason}")];
    }

    private static GuardSession Guard(NodeName node) => new(node.Value[1]);

    private static ServiceSpec Service(string name) => new()
    {
        Name = name, Redundancy = Redundancy.Cold, Activity = Activity.SingleActive, Instances = 1, Driver = new ProcessDriverSpec { Command = ["./" + name] },
    };
}

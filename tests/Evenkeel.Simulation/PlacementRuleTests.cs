using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Simulation.World;
using Xunit;

namespace Evenkeel.Simulation;

/// <summary>What a file demands of services that run already, and in which order they end.</summary>
public sealed class PlacementRuleTests
{
    private const long Second = 1_000_000_000, Millisecond = 1_000_000;
    private static readonly Bug anyOrder = new("any-order", LoopRules.All with { StopInReverse = false }, Bug.None.Lease);
    private readonly ResourceId queue = ResourceId.Service("queue"), reports = ResourceId.Service("reports");
    private SimCluster cluster = null!;
    private int requests;

    [Fact]
    public void StandingOwner_WhereANewFileForbidsIt_MovesByAPlannedMove()
    {
        Begin(61, Bug.None, services => services);
        var reportsAct = Acts(reports);
        Assert.NotEqual(reportsAct.Node, Acts(queue).Node);

        Apply(services => Place(services, "queue", new() { With = ["reports"] }));
        Assert.Equal(reportsAct.Node, Acts(queue).Node);
        Apply(services => Place(services, "queue", new() { Apart = ["reports"] }));
        Assert.NotEqual(reportsAct.Node, Acts(queue).Node);
        // Who declares it yields.
        Apply(services => Place(Place(services, "queue", new() { With = ["reports"] }), "reports", new()));
        Apply(services => Place(Place(services, "queue", new()), "reports", new() { Apart = ["queue"] }));
        Assert.Equal(reportsAct.Node, Acts(queue).Node);
        Assert.NotEqual(reportsAct.Node, Acts(reports).Node);

        // A mere preference moves nothing.
        var (before, other) = (Acts(queue), cluster.Nodes.Keys.First(node => node != Acts(queue).Node && node != Acts(reports).Node));
        Apply(services => Place(services, "queue", new() { Prefer = [other], Stickiness = 0 }));
        Assert.Equal(before, Acts(queue));
        Apply(services => Place(services, "queue", new() { Avoid = [before.Node] }));
        Assert.Equal(before, Acts(queue));
    }

    [Fact]
    public void FollowedService_FailsOver_WhoMustShareItsNodeComesAfterIt()
    {
        Begin(62, Bug.None, services => Place(services, "queue", new() { With = ["reports"] }));
        var node = Acts(reports).Node;
        Assert.Equal(node, Acts(queue).Node);
        var to = cluster.Nodes.Keys.First(other => other != node);
        Commit(Operations.Move(cluster.Codec, State, reports, to, Request()));
        Run(5 * Second);
        Assert.Equal((to, to), (Acts(reports).Node, Acts(queue).Node));
        cluster.Node(to).PowerOff();
        Run(6 * Second);
        Assert.NotEqual(to, Acts(reports).Node);
        Assert.Equal(Acts(reports).Node, Acts(queue).Node);
    }

    public static TheoryData<ulong, string> Orders
    {
        get
        {
            var orders = new TheoryData<ulong, string>();
            foreach (var seed in new ulong[] { 71, 72, 73, 74 })
                foreach (var end in new[] { "drain", "maintenance", "removal", "removal elsewhere", "drain, bound" }) orders.Add(seed, end);
            return orders;
        }
    }

    [Theory, MemberData(nameof(Orders))]
    public void Services_ThatBothEnd_TheDependentOneFirst(ulong seed, string end) => Assert.Null(PlayOrder(seed, end, Bug.None));

    /// <summary>With the rule left out the observer sees it.</summary>
    [Theory, InlineData("drain"), InlineData("removal elsewhere")]
    public void Services_ThatEndInAnyOrder_AreSeen(string end) => Assert.Contains(Enumerable.Range(71, 8), seed => PlayOrder((ulong)seed, end, anyOrder) is not null);

    /// <summary>What was seen of the queue running without the reports that it depends on; null when nothing.</summary>
    private string? PlayOrder(ulong seed, string end, Bug bug)
    {
        var placement = new PlacementSpec { With = end.EndsWith("bound", StringComparison.Ordinal) ? ["reports"] : [] };
        Begin(seed, bug, services =>
        {
            services["queue"] = services["queue"] with { DependsOn = ["reports"], Placement = placement, Redundancy = Redundancy.Cold };
            return services;
        });
        var node = Acts(reports).Node;
        var at = end == "removal elsewhere" ? cluster.Nodes.Keys.First(other => other != node) : node;
        if (Acts(queue).Node != at)
        {
            Commit(Operations.Move(cluster.Codec, State, queue, at, Request()));
            Run(5 * Second);
        }
        Assert.Equal((node, at), (Acts(reports).Node, Acts(queue).Node));

        if (end.StartsWith("drain", StringComparison.Ordinal)) Commit(Operations.Drain(cluster.Codec, State, node, "", Request()));
        else if (end == "maintenance") Commit(Operations.Maintain(cluster.Codec, State, node, "", Request()));
        else Change(services => [.. services.Where(service => service.Key is not ("queue" or "reports"))]);
        string? seen = null;
        var (source, dependent) = (cluster.Node(node), cluster.Node(at));
        for (var passed = 0; passed < 8000 && (source.Running.ContainsKey("reports") || dependent.Running.ContainsKey("queue")); passed++)
        {
            Run(Millisecond);
            if (!source.Running.ContainsKey("reports") && dependent.Running.ContainsKey("queue")) seen ??= $"queue runs on {at}, reports ended on {node}";
        }
        Assert.False(source.Running.ContainsKey("reports") || dependent.Running.ContainsKey("queue"), "one of them did not end");
        if (end.StartsWith("removal", StringComparison.Ordinal)) return seen;
        Run(5 * Second);
        Assert.NotEqual(node, Acts(reports).Node);
        Assert.NotEqual(node, Acts(queue).Node);
        return seen;
    }

    private void Begin(ulong seed, Bug bug, Func<Dictionary<string, ServiceSpec>, Dictionary<string, ServiceSpec>> change)
    {
        var spec = Plan.Fixed();
        cluster = new SimCluster(seed, bug, traced: false, spec with { Services = change(spec.Services.ToDictionary()) }) { Calm = true };
        cluster.Begin();
        Run(5 * Second);
    }

    private static Dictionary<string, ServiceSpec> Place(Dictionary<string, ServiceSpec> services, string name, PlacementSpec placement)
    {
        services[name] = services[name] with { Placement = placement };
        return services;
    }

    private void Apply(Func<Dictionary<string, ServiceSpec>, Dictionary<string, ServiceSpec>> change)
    {
        Change(services => change(services));
        Run(5 * Second);
    }

    private void Change(Func<Dictionary<string, ServiceSpec>, IEnumerable<KeyValuePair<string, ServiceSpec>>> change)
    {
        var spec = State.Spec!.Value;
        Commit(new Transaction(Request(), [new Compare(cluster.Codec.Keys.Spec, spec.Revision)], [cluster.Codec.Put(spec.Value with { Services = change(spec.Value.Services.ToDictionary()).ToDictionary() })]));
    }

    private ClusterState State => cluster.Codec.Read(cluster.Store.Snapshot());

    private Guid Request() => new(++requests, 2, 2, new byte[8]);

    private void Commit(Operation operation)
    {
        Assert.Null(operation.Refusal);
        Commit(operation.Transaction!);
    }

    private void Commit(Transaction transaction) => Assert.Equal(CommitOutcome.Committed, cluster.Store.Apply(transaction).Outcome);

    private void Run(long time) => Assert.True(cluster.Run(time), cluster.Invariants.Violation);

    private (NodeName Node, Epoch Epoch) Acts(ResourceId resource)
    {
        var node = cluster.Invariants.Actor(resource) ?? throw new InvalidOperationException($"{resource} has no owner that acts");
        return (node, cluster.Node(node).ActsOn(resource).First());
    }
}

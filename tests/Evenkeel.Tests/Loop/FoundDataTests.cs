using System.Collections.Immutable;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>Who becomes the first owner of a database that may lie on some node already.</summary>
public sealed class FoundDataTests
{
    private static readonly NodeName[] nodes = [new("n1"), new("n2"), new("n3")];
    private readonly Knowledge known = new(nodes[0], new PeerTable(nodes[0], 1, twoWay: false)) { HasState = true };
    private readonly ReplicaChoice choice;
    private long beats;

    public FoundDataTests()
    {
        choice = new ReplicaChoice(known);
        Of(SmallSpec.Database(3));
    }

    [Theory, InlineData(Redundancy.Hot), InlineData(Redundancy.Warm), InlineData(Redundancy.Cold)]
    public void Empty_BesideData_MakesNone(Redundancy redundancy)
    {
        Of(SmallSpec.Database(3) with { Redundancy = redundancy });
        Assert.Equal([null, null, null], Against());
        Says(0, null);
        Says(1, "7", 1, 100);
        Assert.Equal([null, null, null], Against()); // the third has not said
        Says(2, null);
        Assert.Equal([null, 0, null], Against());
        Assert.Null(FoundData.Problem(known, known.Services["db"]));
    }

    [Fact]
    public void Lagging_IsNotTheFirst()
    {
        Says(0, "7", 2, 100);
        Says(1, "7", 3, 50);
        Says(2, "7", 3, 40);
        Assert.Equal([null, 0, null], Against());
    }

    [Fact]
    public void TwoDatabases_AreLeftToAPerson()
    {
        Says(0, "7", 2, 100);
        Says(1, "8", 1, 50);
        Says(2, null);
        Assert.Equal([null, null, null], Against());
        Assert.Contains("n1 (7), n2 (8) hold different databases", FoundData.Problem(known, known.Services["db"])!.Value.What, StringComparison.Ordinal);
        Says(0, null);
        Assert.Equal([null, 0, null], Against());
    }

    [Fact]
    public void Lost_IsWaitedForForAWhileWhereNobodyHasData_AndForEverWhereSomebodyHas()
    {
        Says(0, null);
        Says(1, null);
        Assert.Equal([null, null, null], Against());
        Pass(31);
        Says(1, null);
        Assert.Equal([0, 0, 0], Against());
        Says(1, "7", 1, 100);
        Assert.Equal([null, null, null], Against());
        Assert.Contains("n3 may have more", FoundData.Problem(known, known.Services["db"])!.Value.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Volume_IsTheSameEverywhere()
    {
        Of(SmallSpec.Database(1) with { Redundancy = Redundancy.Cold, Mounts = [new MountSpec("v", "/data")] });
        Assert.Equal([0, 0, 0], Against());
    }

    private void Of(ServiceSpec service) => known.State = ClusterState.Empty with { Incarnation = 1, Spec = new Versioned<ClusterSpec>(SmallSpec.Of(nodes, service), 1) };

    private int?[] Against() => [.. nodes.Select(node => choice.Against(known.Services["db"], node))];

    private void Pass(int seconds)
    {
        known.Awake += TimeSpan.FromSeconds(seconds);
        _ = known.Peers.Judge(known.Awake, known.Timings).ToList();
    }

    private void Says(int node, string? data, int timeline = 0, long? position = null)
    {
        var facts = new NodeFacts
        {
            Instances = [new InstanceFacts("db", InstanceStatus.Stopped, Health.Unknown) { Position = position, Replication = new ReplicationFacts { Data = data, Timeline = timeline } }],
        };
        if (node == 0) known.Own = facts;
        else known.Peers.Receive(new Beat { Sender = nodes[node], Session = 5, Sequence = ++beats, Facts = facts }, known.Awake, known.Timings);
    }
}

using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.PublicConnection;

/// <summary>Which destinations a balancer is told of, for what its agent knows of the instances.</summary>
public sealed class RouteBuilderTests
{
    private const string Text = """
        version: 1
        cluster: shop
        networks: { public: 203.0.113.0/24, private: [10.10.0.0/24] }
        vips: { front: 203.0.113.10 }
        nodes:
          n1: { public: 203.0.113.11, private: [10.10.0.11] }
          n2: { public: 203.0.113.12, private: [10.10.0.12] }
          n3: { public: 203.0.113.13, private: [10.10.0.13] }
        services:
          web:
            process: { command: [./shop, --urls, "http://{private}:5000"] }
            redundancy: hot
            health: { http: /healthz }
            publish: [{ vip: front, port: 80, protocol: http }]
        """;

    private static readonly Timings Timings = Timings.Default;
    private readonly PeerTable peers = new(Name("n1"), session: 1);
    private readonly Knowledge known;

    public RouteBuilderTests()
    {
        var spec = ClusterFile.Parse(Text).Spec!;
        known = new Knowledge(Name("n1"), peers)
        {
            HasState = true,
            State = ClusterState.Empty with
            {
                Spec = new Versioned<ClusterSpec>(spec, 1),
                Assignments = ClusterState.Empty.Assignments.Add("web", new Versioned<Assignment>(new Assignment("web", [.. spec.Nodes.Keys]), 2)),
            },
        };
        // n3 was never heard.
        Heard("n2", Running(Health.Healthy));
        known.Own = Facts(Running(Health.Healthy));
    }

    [Fact]
    public void Destination_LivingAndHealthy_IsUp_AndALostNodeIsDown() =>
        Assert.Equal(["n1 Up", "n2 Up", "n3 Down"], States());

    [Fact]
    public void Destination_Unhealthy_IsDownWhileAnotherIsUp()
    {
        known.Own = Facts(Running(Health.Unhealthy));
        Assert.Equal(["n1 Down", "n2 Up", "n3 Down"], States());
    }

    [Fact]
    public void Destinations_AllThatRunAreUnhealthy_AreUpRatherThanNone()
    {
        known.Own = Facts(Running(Health.Unhealthy));
        Heard("n2", Running(Health.Unhealthy));
        Assert.Equal(["n1 Up", "n2 Up", "n3 Down"], States());
    }

    [Fact]
    public void Destinations_NotCheckedYetOrFailed_AreNoLastResort()
    {
        known.Own = Facts(Running(Health.Unknown));
        Heard("n2", new InstanceFacts("web", InstanceStatus.Failed, Health.Unhealthy));
        Assert.Equal(["n1 Down", "n2 Down", "n3 Down"], States());
    }

    [Fact]
    public void Destinations_AllThatServeDrain_ServeOn()
    {
        known.Own = Facts(Running(Health.Healthy) with { Leaving = true });
        Heard("n2", Running(Health.Unhealthy));
        Assert.Equal(["n1 Up", "n2 Down", "n3 Down"], States());
    }

    [Fact]
    public void Standbys_ThatStream_GetTheReaders_AndThePrimaryWhenThereAreNone()
    {
        var spec = known.Spec!;
        var database = spec.Services["web"] with
        {
            Activity = Activity.SingleActive, Health = null, Driver = new PostgreSqlDriverSpec { Data = "/srv/db", Port = 5432 },
            Publish = [spec.Services["web"].Publish[0] with { ToStandbys = true }],
        };
        known.State = known.State with
        {
            Spec = new Versioned<ClusterSpec>(spec with { Services = new Dictionary<string, ServiceSpec> { ["web"] = database } }, 3),
            Ownerships = known.State.Ownerships.Add(ResourceId.Service("web"),
                new Versioned<Ownership>(new Ownership(ResourceId.Service("web"), new Owner(Name("n1"), new(1), new(1, 1)), new(1, 1)), 4)),
        };
        known.Own = Facts(Running(Health.Healthy) with { Epoch = new(1, 1), Replication = new ReplicationFacts { Data = "7" } });
        Heard("n2", Running(Health.Healthy) with { Replication = new ReplicationFacts { Data = "7", Upstream = Name("n1"), Streaming = true } });
        Assert.Equal(["n2 Up"], States());
        Heard("n2", Running(Health.Healthy) with { Replication = new ReplicationFacts { Data = "7", Upstream = Name("n1") } });
        Assert.Equal(["n1 Up"], States());
    }

    [Fact]
    public void Build_NothingChanged_IsNoNewTable()
    {
        var routes = new RouteBuilder(known, new DoorPolicy("pub0"));
        Assert.NotNull(routes.Build());
        Assert.Null(routes.Build());
        known.Own = Facts(Running(Health.Unhealthy));
        Assert.Equal(2, routes.Build()!.Version);
    }

    private IEnumerable<string> States() =>
        new RouteBuilder(known, new DoorPolicy("pub0")).Build()!.Routes.Single().Destinations.Select(one => $"{one.Node} {one.State}");

    private long sequence;

    private void Heard(string node, InstanceFacts instance)
    {
        var own = peers.NextSequence(TimeSpan.Zero);
        Assert.True(peers.Receive(new Beat { Sender = Name(node), Session = 7, Sequence = ++sequence, Heard = [new Echo(Name("n1"), 1, own)], Facts = Facts(instance) }, TimeSpan.Zero, Timings));
        foreach (var _ in peers.Judge(TimeSpan.Zero, Timings)) { }
    }

    private static InstanceFacts Running(Health health) => new("web", InstanceStatus.Running, health);
    private static NodeFacts Facts(InstanceFacts instance) => new() { Instances = [instance] };
    private static NodeName Name(string name) => new(name);
}

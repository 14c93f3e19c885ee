using System.Collections.Immutable;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary><c>max_lag</c>: nobody takes over who lacks more of what the last writer had, as far as that is known.</summary>
public sealed class LagLimitTests
{
    private const long Limit = 1 << 20;
    private static readonly NodeName self = new("n1"), writer = new("n2");
    private readonly ServiceSpec service;
    private readonly Knowledge known = new(self, new PeerTable(self, 1, twoWay: false)) { HasState = true, StoreReachable = true };
    private readonly ReplicaChoice choice;
    private ulong session = 5;
    private long sequence;

    public LagLimitTests()
    {
        var database = SmallSpec.Database(2);
        service = database with { Redundancy = Redundancy.Warm, Driver = (PostgreSqlDriverSpec)database.Driver with { MostLag = Limit } };
        known.State = ClusterState.Empty with
        {
            Revision = 10,
            Incarnation = 1,
            Spec = new(SmallSpec.Of([self, writer], service), 2),
            SyncSets = ImmutableSortedDictionary<string, Versioned<SyncSet>>.Empty.Add("db", new(new SyncSet("db", new Epoch(1, 3), [writer]) { Data = "7" }, 3)),
        };
        known.Own = Facts(Copy(100));
        choice = new ReplicaChoice(known);
    }

    [Theory, InlineData(Limit, 0), InlineData(Limit + 1, null)]
    public void WriterIsLost_WhatItLastSaidCounts(long ahead, int? against)
    {
        Beat(Copy(100 + ahead));
        Assert.Equal(against, choice.Against(service, self));
    }

    [Fact]
    public void WriterIsBack_AndHasNotLookedYet_WhatItSaidBeforeCounts()
    {
        Beat(Copy(101 + Limit));
        session++;
        Beat();
        Assert.Null(choice.Against(service, self));
        Beat(new InstanceFacts("db", InstanceStatus.Starting, Health.Unknown));
        Assert.Null(choice.Against(service, self));
        Assert.Equal(0, choice.Against(service, writer));
        // It has looked: somebody took its directory away.
        Beat(new InstanceFacts("db", InstanceStatus.Failed, Health.Unknown) { Replication = new ReplicationFacts() });
        Assert.Equal(0, choice.Against(service, self));
    }

    private void Beat(params InstanceFacts[] instances) =>
        known.Peers.Receive(new Beat { Sender = writer, Session = session, Sequence = ++sequence, Revision = 10, Incarnation = 1, Facts = Facts(instances) }, known.Awake, known.Timings);

    private static NodeFacts Facts(params InstanceFacts[] instances) => new() { Guard = new GuardSession(7), Ready = true, Instances = instances };

    private static InstanceFacts Copy(long position) =>
        new("db", InstanceStatus.Running, Health.Healthy) { Position = position, Replication = new ReplicationFacts { Data = "7", Timeline = 1 } };
}

using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Cli;

/// <summary>Each thing that can be wrong is said, with its weight and with what to do; a whole cluster has nothing to say.</summary>
public sealed class StatusFindingsTests
{
    private static readonly StatusReport Healthy = FakeControlPlane.Healthy("shop", "n1");

    [Fact]
    public void Of_HealthyCluster_SaysNothing() => Assert.Empty(StatusFindings.Of(Healthy));

    [Theory]
    [InlineData(-3, null)]
    [InlineData(4, null)]
    [InlineData(7, "7 s ahead of")]
    [InlineData(-300, "5 min behind")]
    [InlineData(5 * 3600, "5 h ahead of")]
    [InlineData(-400 * 86400, "400 days behind")]
    public void Of_ClocksApart_IsSaidInWords(int seconds, string? words)
    {
        var found = StatusFindings.Of(WithNode("n2", node => node with { ClockAhead = TimeSpan.FromSeconds(seconds) }));
        if (words is null)
        {
            Assert.Empty(found);
            return;
        }

        var finding = Assert.Single(found);
        Assert.Equal((Concern.Degraded, "node/n2"), (finding.Concern, finding.Subject));
        Assert.Contains($"the clock of n2 is {words} that of n1", finding.What, StringComparison.Ordinal);
        Assert.Contains("NTP", finding.Do, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_NodesOfSeveralVersions_IsANote_AlsoWhereOneIsTooOldToSayWhich()
    {
        var two = WithNode("n2", node => node with { Program = "1.1.0" });
        var finding = Assert.Single(StatusFindings.Of(two));
        Assert.Equal((Concern.Note, "versions-differ"), (finding.Concern, finding.Alert));
        Assert.Contains("n2 1.1.0", finding.What, StringComparison.Ordinal);
        Assert.Contains("an older one", finding.What, StringComparison.Ordinal);
        Assert.Empty(StatusFindings.Of(two with { Nodes = [.. two.Nodes.Select(node => node with { Program = "1.1.0" })] }));
    }

    [Theory]
    [InlineData(NodeConcern.CertificateEnds, Concern.Degraded, "node/n2")]
    [InlineData(NodeConcern.AuthorityEnds, Concern.Note, "authority")]
    [InlineData(NodeConcern.AuthorityEndsSoon, Concern.Degraded, "authority")]
    [InlineData(NodeConcern.PrivateNetworkOpen, Concern.Degraded, "node/n2")]
    [InlineData(NodeConcern.PrivateNetworkShared, Concern.Note, "node/n2")]
    [InlineData(NodeConcern.ApiNotServed, Concern.Degraded, "node/n2")]
    [InlineData(NodeConcern.EtcdDown, Concern.Degraded, "node/n2")]
    [InlineData(NodeConcern.SnapshotFails, Concern.Degraded, "node/n2")]
    [InlineData(NodeConcern.EtcdSpace, Concern.Degraded, "node/n2")]
    [InlineData(NodeConcern.EtcdDiskFull, Concern.Degraded, "node/n2")]
    [InlineData(NodeConcern.EtcdDiskSlow, Concern.Note, "node/n2")]
    [InlineData(NodeConcern.EtcdMembers, Concern.Degraded, "store")]
    [InlineData(NodeConcern.AgentPartFailed, Concern.Degraded, "node/n2")]
    public void Of_WhatOnlyTheOtherNodeSees_IsAFindingOfItsOwn(string kind, Concern weight, string subject)
    {
        var concerned = WithNode("n2", node => node with { Concerns = [new NodeConcern(kind, "words")] });
        var finding = Assert.Single(StatusFindings.Of(concerned));
        Assert.Equal((weight, kind, subject), (finding.Concern, finding.Alert, finding.Subject));
        Assert.Contains("words", finding.What, StringComparison.Ordinal);
        // Of a node that is lost nobody knows.
        Assert.DoesNotContain(StatusFindings.Of(WithNode("n2", node => node with { Concerns = [new NodeConcern(kind, "words")], Reach = Reach.Lost })), one => one.Alert == kind);
    }

    [Fact]
    public void Of_ConcernOfALaterVersion_IsANote_AndWhatAllNodesSayIsSaidOnce()
    {
        Assert.Equal((Concern.Note, "node-limited"), StatusFindings.Of(WithNode("n2", node => node with { Concerns = [new NodeConcern("unheard-of", "words")] })).Select(one => (one.Concern, one.Alert)).Single());
        var all = Healthy with { Nodes = [.. Healthy.Nodes.Select(node => node with { Concerns = [new NodeConcern(NodeConcern.AuthorityEndsSoon, "it ends")] })] };
        Assert.Single(StatusFindings.Of(all));
    }

    [Theory]
    [InlineData(181, null)]
    [InlineData(179, NodeConcern.AuthorityEnds)]
    [InlineData(59, NodeConcern.AuthorityEndsSoon)]
    [InlineData(-1, NodeConcern.AuthorityEndsSoon)]
    public void AuthorityEnds_WeighsMoreTheNearerItIs(int days, string? kind) =>
        Assert.Equal(kind, Agent.Trust.TrustKeeper.AuthorityEnds(DateTime.UnixEpoch.AddDays(days), DateTime.UnixEpoch)?.Kind);

    [Fact]
    public void Of_NodeWithoutStore_IsSaidOnlyWhileTheStoreItselfIsThere()
    {
        var cut = WithNode("n2", node => node with { StoreReachable = false });
        Assert.Contains("n2 does not reach the coordination store", Assert.Single(StatusFindings.Of(cut)).What, StringComparison.Ordinal);
        var gone = cut with { Store = cut.Store with { HasQuorum = false } };
        Assert.Equal("store", Assert.Single(StatusFindings.Of(gone)).Subject);
    }

    [Theory]
    [InlineData("NOSPACE on n2, a learner", "make room by themselves")]
    [InlineData("CORRUPT on n2, a learner", "recover --rejoin on the one that is named")]
    [InlineData("etcd's database on n1 has 450 MiB of a quota of 512 MiB", "make room by themselves")]
    [InlineData("etcd does not run on n1: etcd was not found (etcd). Install it", "Install etcd")]
    [InlineData("no snapshot of etcd can be taken on n1: No space left on device", "Free disk space")]
    [InlineData("no answer from etcd at 10.0.0.2:2379", "etcd.log")]
    public void Of_AlarmOfTheStore_SaysWhatMendsThatOne(string alarm, string mend)
    {
        var found = Assert.Single(StatusFindings.Of(Healthy with { Store = Healthy.Store with { Alarms = [alarm] } }));
        Assert.Equal((Concern.Degraded, "store"), (found.Concern, found.Subject));
        Assert.Contains(alarm, found.What, StringComparison.Ordinal);
        Assert.Contains(mend, found.Do, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3.2, "node n2 is lost, silent for 3 s")]
    [InlineData(5400.0, "node n2 is lost, silent for 90 min")]
    [InlineData(null, "node n2 is lost: n1 hears it, but it does not hear n1")]
    public void Of_LostNode_SaysSinceWhen_OrThatItIsDeaf(double? silence, string words) =>
        Assert.Contains(words, StatusFindings.Of(WithNode("n2", node => node with { Reach = Reach.Lost, Silence = silence is { } time ? TimeSpan.FromSeconds(time) : null })).Select(finding => finding.What));

    [Fact]
    public void Of_LostNode_IsDegradedAndTheNextLossIsNamed() =>
        Assert.Equal(["quorum", "node/n2"], StatusFindings.Of(WithNode("n2", node => node with { Reach = Reach.Lost })).Select(finding => finding.Subject));

    [Fact]
    public void Of_TwoLostOfThree_IsDownAndSaidFirst()
    {
        var report = WithNode("n2", node => node with { Reach = Reach.Lost }, WithNode("n3", node => node with { Reach = Reach.Lost }));
        var first = StatusFindings.Of(report)[0];
        Assert.Equal((Concern.Down, "quorum"), (first.Concern, first.Subject));
    }

    [Theory, InlineData(Ban.Here, "web is not tried on n3 again (start: not installed)"), InlineData(Ban.Everywhere, "web would fail on every node (start: not installed)")]
    public void Of_BannedInstance_SaysWhereAndWhyAndTheWayBack(Ban ban, string words)
    {
        var web = Healthy.Services[0] with { Instances = [.. Healthy.Services[0].Instances, new InstanceReport(new("n3"), InstanceStatus.Failed, Health.Unhealthy, 0, "start: not installed") { Ban = ban }] };
        var finding = Assert.Single(StatusFindings.Of(Healthy with { Services = [web] }));
        Assert.Equal((Concern.Degraded, "instance-banned"), (finding.Concern, finding.Alert));
        Assert.StartsWith(words, finding.What, StringComparison.Ordinal);
        Assert.Contains("evenkeel restart web --node n3", finding.Do, StringComparison.Ordinal);
    }

    [Theory, InlineData(-1, InstanceStatus.Running, true), InlineData(100, InstanceStatus.Starting, true), InlineData(0, InstanceStatus.Running, false)]
    public void Of_NoStandbyThatMayBePromoted_IsSaidBeforeItIsNeeded(int score, InstanceStatus status, bool said)
    {
        var cache = Healthy.Services[0] with
        {
            Name = "cache", Activity = Activity.SingleActive, Redundancy = Redundancy.Warm, Wanted = 1, Owner = new Owner(new("n1"), new GuardSession(7), new Epoch(1, 1)),
            Instances = [new(new("n1"), InstanceStatus.Running, Health.Healthy, 0, "") { Active = true, PromotionScore = 1000 }, new(new("n2"), status, Health.Healthy, 0, "") { PromotionScore = score }],
        };
        Assert.Equal(said ? ["no-replica"] : [], StatusFindings.Of(Healthy with { Services = [cache] }).Select(finding => finding.Alert));
    }

    [Fact]
    public void Of_VipNotHeld_IsDown() =>
        Assert.Equal(Concern.Down, Assert.Single(StatusFindings.Of(Healthy with { Vips = [Healthy.Vips[0] with { Held = false }] })).Concern);

    [Fact]
    public void Of_NodeInMaintenance_IsANoteThatNamesTheWayBack()
    {
        var finding = Assert.Single(StatusFindings.Of(WithNode("n2", node => node with { Mode = NodeMode.Maintenance, ModeReason = "new disk" })));
        Assert.Equal(Concern.Note, finding.Concern);
        Assert.Contains("(new disk)", finding.What, StringComparison.Ordinal);
        Assert.Contains("evenkeel resume n2", finding.Do, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(FencePhase.Asked, "", Reach.Lost, Concern.Degraded, "is being cut off")]
    [InlineData(FencePhase.Asked, "no answer", Reach.Lost, Concern.Down, "evenkeel fence n2 --confirm")]
    [InlineData(FencePhase.Confirmed, "the switch says so", Reach.Lost, Concern.Degraded, "evenkeel fence n2 --on")]
    [InlineData(FencePhase.Confirmed, "the switch says so", Reach.Alive, Concern.Degraded, "answers, though it was confirmed off")]
    public void Of_NodeThatIsCutOff_SaysWhereItStandsAndWhatToDo(FencePhase phase, string detail, Reach reach, Concern concern, string words)
    {
        var findings = StatusFindings.Of(WithNode("n2", node => node with { Reach = reach, Fence = new FenceReport(phase, "lost", detail) }));
        var finding = Assert.Single(findings, found => found.Subject == "node/n2" && (found.What + found.Do).Contains(words, StringComparison.Ordinal));
        Assert.Equal(concern, finding.Concern);
    }

    [Fact]
    public void Of_AFenceDeviceThatDoesNotAnswer_IsToldBeforeItIsNeeded() =>
        Assert.Contains("fence_x for n2: time-out", Assert.Single(StatusFindings.Of(WithNode("n2", node => node with { FenceProblems = ["fence_x for n2: time-out"] }))).What, StringComparison.Ordinal);

    [Theory]
    [InlineData(true, "before n3 is cut off", "n3 is being cut off")]
    [InlineData(false, "n3 has no fence device: it is blocked and needs a human", "evenkeel fence n3 --confirm")]
    public void Of_AnInstanceThatCouldNotBeStopped_IsDown_AndSaysWhoMustAct(bool hasDevice, string what, string todo)
    {
        var web = Healthy.Services[0] with { Instances = [.. Healthy.Services[0].Instances, new InstanceReport(new("n3"), InstanceStatus.Stuck, Health.Unknown, 0, "it hangs")] };
        var finding = Assert.Single(StatusFindings.Of(WithNode("n3", node => node with { HasFenceDevice = hasDevice }) with { Services = [web] }));
        Assert.Equal((Concern.Down, "instance-stuck"), (finding.Concern, finding.Alert));
        Assert.Contains($"web could not be stopped on n3 (it hangs)", finding.What, StringComparison.Ordinal);
        Assert.EndsWith(what, finding.What, StringComparison.Ordinal);
        Assert.Contains(todo, finding.Do, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, null)]
    [InlineData(8, "would lose the last 8 s, 40 transactions: more than its RPO of 5 s")]
    public void Of_ReplicaOfAWarmService_IsHeldAgainstItsRpo(int secondsBehind, string? words)
    {
        var found = StatusFindings.Of(WithReplica(new InstanceReport(new NodeName("n2"), InstanceStatus.Running, Health.Healthy, 0, "")
        {
            LagBytes = 4096, LagTransactions = 40, LagTime = TimeSpan.FromSeconds(secondsBehind),
        }));
        if (words is null) Assert.Empty(found);
        else Assert.Contains(words, Assert.Single(found).What, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_WarmServiceThatNobodyFollows_IsDegraded() =>
        Assert.Contains("no replica of db follows", Assert.Single(StatusFindings.Of(WithReplica(new InstanceReport(new NodeName("n2"), InstanceStatus.Running, Health.Healthy, 0, "")))).What, StringComparison.Ordinal);

    [Fact]
    public void Of_SettingsThatWaitForARestart_AreANoteForAllInstancesAtOnce()
    {
        var web = Healthy.Services[0] with { Instances = [.. Healthy.Services[0].Instances.Select(one => one with { RestartPending = true, Detail = InstanceFacts.RestartPending + " for max_connections" })] };
        var finding = Assert.Single(StatusFindings.Of(Healthy with { Services = [web] }));
        Assert.Equal((Concern.Note, "web on n1, n2: a restart is pending for max_connections"), (finding.Concern, finding.What));
    }

    [Fact]
    public void Data_OfTwoDatabases_SaysWhatToDo()
    {
        var report = WithReplica(new InstanceReport(new NodeName("n2"), InstanceStatus.Stopped, Health.Unknown, 0, ""));
        var service = report.Services[0] with { Owner = null, Data = new DataReport([], Synchronous: true, Strict: false, "") { Undecided = new UndecidedReport("n1 and n2 differ", "Move one away") } };
        var finding = Assert.Single(StatusFindings.Of(report with { Services = [service] }), finding => finding.Alert == "data-undecided");
        Assert.Equal((Concern.Down, "n1 and n2 differ", "Move one away"), (finding.Concern, finding.What, finding.Do));
    }

    [Theory]
    [InlineData("n1", Concern.Degraded)]
    [InlineData("n2", Concern.Down)]
    public void Of_DoorThatCannotBeOpened_NamesItAndWhoHasThePort(string node, Concern concern)
    {
        var vip = Healthy.Vips[0];
        Assert.Equal("n2", vip.Owner?.Node.Value);
        var finding = Assert.Single(StatusFindings.Of(WithNode(node, one => one with
        {
            ShutDoors = [new ShutDoor(vip.Name, "cannot listen on 203.0.113.10:9100: Address already in use; node_exporter (process 812) probably has it")],
        })));
        Assert.Equal((concern, "door-shut", "node/" + node), (finding.Concern, finding.Alert, finding.Subject));
        Assert.Contains("203.0.113.10:9100: Address already in use; node_exporter (process 812)", finding.What, StringComparison.Ordinal);
    }

    private static StatusReport WithReplica(InstanceReport replica) => Healthy with
    {
        Services = [new ServiceReport
        {
            Name = "db", Redundancy = Redundancy.Warm, Activity = Activity.SingleActive, Wanted = 2, Doors = [], Rpo = TimeSpan.FromSeconds(5),
            Owner = new Owner(new NodeName("n1"), new GuardSession(1), new Epoch(1, 1)),
            Data = new DataReport([new NodeName("n1")], Synchronous: false, Strict: false, ""),
            Instances = [new InstanceReport(new NodeName("n1"), InstanceStatus.Running, Health.Healthy, 0, "") { Active = true }, replica],
        }],
    };

    private static StatusReport WithNode(string name, Func<NodeReport, NodeReport> change, StatusReport? report = null) => (report ?? Healthy) with
    {
        Nodes = [.. (report ?? Healthy).Nodes.Select(node => node.Name.Value == name ? change(node) : node)],
    };
}

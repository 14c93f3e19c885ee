using Evenkeel.Core.Backups;
using Evenkeel.Core.Model;
using Xunit;
using static Evenkeel.Tests.Backups.BackupCluster;

namespace Evenkeel.Tests.Backups;

/// <summary>Which node backs up what, and when.</summary>
public sealed class BackupDecisionsTests
{
    private static readonly NodeName n1 = new("n1"), n2 = new("n2"), n3 = new("n3");

    [Fact]
    public void NewJob_NothingDue_IsCountedFromNow()
    {
        var cluster = new BackupCluster(Job("files"));
        Assert.Equal(1, cluster.Decide());
        Assert.Equal((Noon, null), (cluster["files"].Since, cluster.At("files")));
        cluster.Due(new DueBackup("files", BackupTask.Full, Noon - 60));
        Assert.Equal(0, cluster.Decide());
    }

    [Fact]
    public void Due_GoesToOneNode_AndIsNotGivenTwice()
    {
        var cluster = Begun(Job("files"));
        cluster.Due(new DueBackup("files", BackupTask.Incremental, Noon + 60), new DueBackup("files", BackupTask.Full, Noon + 30));
        Assert.Equal(0, cluster.Decide());
        cluster.Pass(TimeSpan.FromMinutes(2));
        cluster.Decide();
        Assert.Equal((n1, BackupTask.Full, Noon + 30), (cluster["files"].Running!.Node, cluster["files"].Running!.Task, cluster["files"].Running!.Moment));
        Assert.Equal(0, cluster.Decide());
        cluster.End("files", good: true);
        // The full one fulfils what was due when it began, not what came due after.
        Assert.Equal(0, cluster.Decide());
        cluster.Pass(TimeSpan.FromMinutes(2));
        cluster.Due(new DueBackup("files", BackupTask.Incremental, Noon + 180), new DueBackup("files", BackupTask.Full, Noon + 30));
        cluster.Decide();
        Assert.Equal(BackupTask.Incremental, cluster["files"].Running!.Task);
        cluster.End("files", good: true);
        Assert.Equal(0, cluster.Decide());
    }

    [Fact]
    public void Database_IsBackedUpOnAStandbyThatFollows()
    {
        var cluster = Begun(Job("db-daily", "db"));
        cluster.Tell(n1, Runs("db", active: true));
        cluster.Tell(n2, Runs("db", streaming: false));
        cluster.Tell(n3, Runs("db"));
        Assert.Equal(n3, Given(cluster, "db-daily"));
        cluster.End("db-daily", good: true);

        cluster.Tell(n3, new NodeFacts());
        Assert.Equal(n1, Given(cluster, "db-daily"));
        cluster.End("db-daily", good: true);

        // Nobody has the data as they are now.
        cluster.Tell(n1, new NodeFacts());
        Assert.Null(Given(cluster, "db-daily"));
    }

    [Fact]
    public void Failed_IsTriedAgainElsewhere_AfterAPauseThatGrows()
    {
        var cluster = Begun(Job("files"));
        Assert.Equal(n1, Given(cluster, "files"));
        cluster.End("files", good: false);
        Assert.Equal((1, cluster.Now + 60), (cluster["files"].Failures, cluster["files"].NotBefore));
        Assert.Equal(0, cluster.Decide());
        cluster.Pass(TimeSpan.FromSeconds(61));
        cluster.Decide();
        Assert.Equal(n2, cluster.At("files"));
        cluster.End("files", good: false);
        Assert.Equal(cluster.Now + 120, cluster["files"].NotBefore);
        for (var i = 0; i < 10; i++)
        {
            cluster.Pass(TimeSpan.FromMinutes(31));
            cluster.Decide();
            cluster.End("files", good: false);
        }
        Assert.Equal(cluster.Now + 1800, cluster["files"].NotBefore);
        cluster.Pass(TimeSpan.FromMinutes(31));
        cluster.Decide();
        cluster.End("files", good: true);
        Assert.Equal((0, 0), (cluster["files"].Failures, cluster["files"].NotBefore));
    }

    [Fact]
    public void LostNode_KeepsTheJob_UntilItHasSurelyEndedIt()
    {
        var cluster = Begun(Job("files") with { Nodes = [n2, n3] });
        Assert.Equal(n2, Given(cluster, "files"));
        cluster.Pass(TimeSpan.FromSeconds(2), silent: n2);
        Assert.False(cluster.Known.IsAlive(n2));
        cluster.Pass(BackupSide.LongestSolitude, silent: n2);
        Assert.Equal(0, cluster.Decide());
        cluster.Pass(BackupSide.LongestSolitude + TimeSpan.FromSeconds(1), silent: n2);
        cluster.Decide();
        Assert.Equal((null, 1, false), (cluster.At("files"), cluster["files"].Failures, cluster["files"].Last!.Good));
        cluster.Pass(TimeSpan.FromSeconds(61), silent: n2);
        cluster.Decide();
        Assert.Equal(n3, cluster.At("files"));
    }

    [Fact]
    public void RestartedAgent_DoesNotKnowOfTheRun_WhichIsGivenAnew()
    {
        var cluster = Begun(Job("files") with { Nodes = [n2] });
        Assert.Equal(n2, Given(cluster, "files"));
        cluster.Tell(n2, new NodeFacts(), session: 999);
        cluster.Decide();
        Assert.Contains("restarted", cluster["files"].Last!.Words, StringComparison.Ordinal);
        cluster.Pass(TimeSpan.FromSeconds(61));
        cluster.Decide();
        Assert.Equal((n2, 999UL), (cluster["files"].Running!.Node, cluster["files"].Running!.Session));
    }

    [Fact]
    public void TwoJobs_ShareNoNode_NoRepositoryAndNoService()
    {
        var shared = Job("b") with { Repository = Job("a").Repository };
        var cluster = Begun(Job("a"), shared, Job("c"), Job("d1", "web"), Job("d2", "web"));
        foreach (var node in new[] { n1, n2, n3 }) cluster.Tell(node, Runs("web"));
        cluster.Due([.. new[] { "a", "b", "c", "d1", "d2" }.Select(job => new DueBackup(job, BackupTask.Full, Noon + 60))]);
        cluster.Pass(TimeSpan.FromMinutes(2));
        cluster.Decide();
        Assert.Null(cluster.At("b"));
        Assert.Null(cluster.At("d2"));
        Assert.Equal(3, new[] { "a", "c", "d1" }.Select(job => cluster.At(job)).OfType<NodeName>().Distinct().Count());
        cluster.End("a", good: true);
        cluster.Decide();
        Assert.NotNull(cluster.At("b"));
        Assert.Null(cluster.At("d2"));
    }

    [Fact]
    public void EachNode_BacksUpItsOwn_OneAfterAnother()
    {
        var cluster = Begun(Job("etc") with { Each = true });
        string[] jobs = ["etc.n1", "etc.n2", "etc.n3"];
        Assert.Equal(jobs, cluster.Known.State.Backups.Keys);
        cluster.Due([.. jobs.Select(job => new DueBackup(job, BackupTask.Full, Noon + 60))]);
        cluster.Pass(TimeSpan.FromMinutes(2));
        foreach (var (job, node) in jobs.Zip([n1, n2, n3]))
        {
            cluster.Decide();
            Assert.Equal(node, cluster.At(job));
            Assert.Single(jobs, one => cluster.At(one) is not null);
            cluster.End(job, good: true);
        }
    }

    [Fact]
    public void ClockSetBack_DoesNotKeepJobsFromRunning()
    {
        var cluster = Begun(Job("files"));
        cluster.SetClock(Noon + 365 * 86400);
        cluster.Due(new DueBackup("files", BackupTask.Full, cluster.Now - 1));
        cluster.Decide();
        cluster.End("files", good: true);
        cluster.SetClock(Noon + 3600);
        cluster.Decide();
        Assert.Equal(Noon + 3600, cluster["files"].DoneUntil(BackupTask.Full));
        Assert.NotNull(Given(cluster, "files"));
    }

    [Fact]
    public void RestoredStore_NamesNobodyThatIsAtIt()
    {
        var cluster = Begun(Job("files"));
        Given(cluster, "files");
        cluster.Known.State = cluster.Known.State with { Incarnation = 2 };
        cluster.Decide();
        Assert.Equal((null, 2), (cluster.At("files"), cluster["files"].Incarnation));
    }

    [Fact]
    public void Wish_IsFulfilledAtOnce_AndOnce()
    {
        var cluster = Begun(Job("files"));
        cluster.Put("files", cluster["files"] with { Wished = BackupTask.Differential });
        cluster.Decide();
        Assert.Equal((BackupTask.Differential, null), (cluster["files"].Running!.Task, cluster["files"].Wished));
        // No schedule would try it again.
        cluster.End("files", good: false);
        Assert.Equal(0, cluster.Decide());
        cluster.Pass(TimeSpan.FromSeconds(61));
        cluster.Decide();
        Assert.Equal(BackupTask.Differential, cluster["files"].Running!.Task);
        cluster.End("files", good: true);
        Assert.Equal(0, cluster.Decide());
    }

    [Fact]
    public void Job_ThatLeftTheFile_LosesItsRecord()
    {
        var cluster = Begun(Job("files"));
        var spec = cluster.Known.State.Spec!.Value;
        cluster.Known.State = cluster.Known.State with { Spec = new(spec.Value with { Backups = new Dictionary<string, BackupSpec>() }, 2) };
        cluster.Decide();
        Assert.Empty(cluster.Known.State.Backups);
    }

    [Fact]
    public void NodeInMaintenance_IsLeftAlone()
    {
        var cluster = Begun(Job("files"));
        cluster.Known.State = cluster.Known.State with { Nodes = cluster.Known.State.Nodes.Add(n1, new(new NodeRecord(n1, NodeMode.Maintenance), 1)) };
        Assert.Equal(n2, Given(cluster, "files"));
    }

    private static BackupCluster Begun(params BackupSpec[] jobs)
    {
        var cluster = new BackupCluster(jobs);
        cluster.Decide();
        return cluster;
    }

    /// <summary>A minute later the job is due; who gets it.</summary>
    private static NodeName? Given(BackupCluster cluster, string job)
    {
        cluster.Pass(TimeSpan.FromMinutes(2));
        cluster.Due(new DueBackup(job, BackupTask.Incremental, cluster.Now - 1));
        cluster.Decide();
        return cluster.At(job);
    }
}

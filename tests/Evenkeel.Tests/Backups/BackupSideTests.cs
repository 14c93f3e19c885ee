using Evenkeel.Core.Backups;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Backups;

/// <summary>A node's part: begins what is its own, ends what no longer is, says what came of it.</summary>
public sealed class BackupSideTests
{
    private static readonly NodeName self = new("n1");
    private const ulong Session = 11;
    private readonly StateCodec _codec = new("t");
    private readonly Knowledge _known;
    private readonly CommitDesk _desk;
    private readonly BackupSide _side;

    public BackupSideTests()
    {
        _known = new Knowledge(self, new PeerTable(self, Session)) { HasState = true, StoreReachable = true };
        _desk = new CommitDesk(_known, new RequestIds(1));
        _side = new BackupSide(_known, _desk);
        _known.State = new BackupCluster(BackupCluster.Job("files")).Known.State;
        Commit(new BackupRecord("files", 1) { Running = new BackupRun(self, Session, 1, BackupTask.Full, 60, 70), Number = 1 });
    }

    [Fact]
    public void OwnRun_IsBegunOnce()
    {
        Assert.Equal(("files", 1, BackupTask.Full), Assert.Single(Tick().OfType<RunBackup>()) is var run ? (run.Job, run.Number, run.Task) : default);
        Assert.Empty(Tick().OfType<RunBackup>());
    }

    [Theory]
    [InlineData("n2", Session, 1)]
    [InlineData("n1", Session + 1, 1)]
    [InlineData("n1", Session, 2)]
    public void Run_OfAnotherNodeAgentOrIncarnation_IsNotBegun(string node, ulong session, int incarnation)
    {
        Commit(new BackupRecord("files", incarnation) { Running = new BackupRun(new NodeName(node), session, 1, BackupTask.Full, 60, 70), Number = 1 });
        Assert.Empty(Tick().OfType<RunBackup>());
    }

    [Fact]
    public void Run_GivenToAnotherNode_IsEndedHere_AndSaysNothing()
    {
        Tick();
        Commit(new BackupRecord("files", 1) { Running = new BackupRun(new NodeName("n2"), 22, 2, BackupTask.Full, 60, 70), Number = 2 });
        Assert.Single(Tick().OfType<StopBackup>());
        _side.OnEnded(new BackupEnded("files", 1, Result(good: true)));
        Assert.Empty(Tick().OfType<Commit>());
        Assert.Empty(Tick().OfType<StopBackup>());
    }

    [Fact]
    public void Solitude_EndsTheRun_BeforeAnybodyElseMayGetIt()
    {
        Tick();
        _known.StoreReachable = false;
        Tick();
        _known.Awake += BackupSide.LongestSolitude - TimeSpan.FromSeconds(1);
        Assert.Empty(Tick().OfType<StopBackup>());
        _known.Awake += TimeSpan.FromSeconds(2);
        Assert.Single(Tick().OfType<StopBackup>());
    }

    [Fact]
    public void Outcome_IsCommitted_AgainstTheRecordThatItEnds()
    {
        Tick();
        _side.OnEnded(new BackupEnded("files", 1, Result(good: true)));
        var commit = Assert.Single(Tick().OfType<Commit>()).Transaction;
        Assert.Contains(commit.Compares, compare => compare.Key == _codec.Keys.Backup("files") && compare.ModRevision == _known.State.Backups["files"].Revision);
        // Somebody was faster: looked at anew, and found to be another's.
        var decided = _desk.OnCompleted(new CommitCompleted(commit.RequestId, new CommitResult(CommitOutcome.Conflict, 0)));
        _side.OnDecided((BackupProposal)decided!, new CommitResult(CommitOutcome.Conflict, 0));
        Commit(new BackupRecord("files", 1) { Number = 2 });
        _known.Awake += TimeSpan.FromSeconds(1);
        Assert.Empty(Tick().OfType<Commit>());
    }

    /// <summary>Else nobody is at it until it counts as overdue, a day later.</summary>
    [Fact]
    public void Run_NumberedAnewByARestoredStore_IsBegun_OnceTheOneOfBeforeHasEnded()
    {
        Tick();
        _known.State = _known.State with { Incarnation = 2 };
        Commit(new BackupRecord("files", 2) { Running = new BackupRun(self, Session, 1, BackupTask.Incremental, 120, 130), Number = 1 });
        var effects = Tick();
        Assert.Equal(("files", 1), Assert.Single(effects.OfType<StopBackup>()) is var stop ? (stop.Job, stop.Number) : default);
        Assert.Empty(effects.OfType<RunBackup>());
        // What came of the old one is not said of the new one.
        _side.OnEnded(new BackupEnded("files", 1, Result(good: true)));
        effects = Tick();
        Assert.Empty(effects.OfType<Commit>());
        Assert.Equal(BackupTask.Incremental, Assert.Single(effects.OfType<RunBackup>()).Task);
        Assert.Empty(Tick().OfType<RunBackup>());
        _side.OnEnded(new BackupEnded("files", 1, Result(good: true)));
        Assert.Single(Tick().OfType<Commit>());
    }

    [Fact]
    public void Outcome_ConfirmedLate_DoesNotEndTheNextRun()
    {
        Tick();
        _side.OnEnded(new BackupEnded("files", 1, Result(good: false)));
        var commit = Assert.Single(Tick().OfType<Commit>()).Transaction;
        // The watch is faster than the answer.
        Commit(new BackupRecord("files", 1) { Running = new BackupRun(self, Session, 2, BackupTask.Full, 60, 200), Number = 2 });
        Assert.Equal(2, Assert.Single(Tick().OfType<RunBackup>()).Number);
        var committed = new CommitResult(CommitOutcome.Committed, _known.State.Revision);
        _side.OnDecided((BackupProposal)_desk.OnCompleted(new CommitCompleted(commit.RequestId, committed))!, committed);
        _known.TakeEffects();
        _side.OnEnded(new BackupEnded("files", 2, Result(good: true)));
        Assert.Single(Tick().OfType<Commit>());
    }

    [Fact]
    public void Spec_OfAProgramWithoutBackups_HasNone()
    {
        var spec = System.Text.Json.JsonSerializer.SerializeToNode(_known.Spec!, StateJson.Default.ClusterSpec)!.AsObject();
        Assert.True(spec.Remove("backups"));
        Assert.Empty(System.Text.Json.JsonSerializer.Deserialize(spec, StateJson.Default.ClusterSpec)!.Backups);
    }

    [Fact]
    public void Record_AsCommitted_IsReadBackWhole()
    {
        var run = new BackupRun(self, Session, 3, BackupTask.Differential, 60, 70);
        var record = BackupBook.End(BackupBook.Give(new BackupRecord("files", 4) { Since = 9 }, self, Session, BackupTask.Full, 60, 70), run with { Task = BackupTask.Full },
            Result(good: true) with { Snapshot = "s", BytesRead = 5, Warnings = ["w"] }) with { Running = run, Wished = BackupTask.Verify, NotBefore = 8 };
        var state = _codec.Apply(ClusterState.Empty, new WatchBatch(7, [new StoreEntry(_codec.Keys.Backup("files"), _codec.Put(record).Value!.Value, 7)], []));
        var read = state.Backups["files"].Value;
        Assert.Equal(record with { Done = read.Done, Last = read.Last, LastGood = read.LastGood }, read);
        Assert.Equal(record.Done, read.Done);
        Assert.Equal((5, "s", "w"), (read.LastGood!.BytesRead, read.LastGood.Snapshot, Assert.Single(read.LastGood.Warnings)));
        Assert.Empty(_codec.Apply(state, new WatchBatch(8, [], [_codec.Keys.Backup("files")])).Backups);
    }

    private static BackupResult Result(bool good) => new(BackupTask.Full, self, 100, good, "words");

    private IReadOnlyList<Effect> Tick()
    {
        _side.OnTick(_codec);
        return _known.TakeEffects();
    }

    private void Commit(BackupRecord record) => _known.State = _known.State with
    {
        Revision = _known.State.Revision + 1, Backups = _known.State.Backups.SetItem("files", new(record, _known.State.Revision + 1)),
    };
}

using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Evenkeel.Core.Backups;
using Evenkeel.Core.Failover;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;

namespace Evenkeel.Tests.Backups;

/// <summary>A controller's knowledge of three nodes, whose decisions on backups are committed at once.</summary>
internal sealed class BackupCluster
{
    public const long Noon = 1_800_000_000;
    private static readonly NodeName[] s_names = [new("n1"), new("n2"), new("n3")];
    private readonly StateCodec _codec = new("t");
    private readonly BackupDecisions _decisions;
    private readonly Dictionary<NodeName, long> _sequences = [];
    private TimeSpan _awake = TimeSpan.FromSeconds(100);

    public BackupCluster(params BackupSpec[] jobs)
    {
        Known = new Knowledge(s_names[0], new PeerTable(s_names[0], 11, twoWay: false)) { HasState = true, StoreReachable = true };
        _decisions = new BackupDecisions(Known);
        Known.State = ClusterState.Empty with
        {
            Incarnation = 1,
            Controller = new(new Controller(s_names[0], 1), 1),
            Spec = new(SmallSpec.Of(s_names, SmallSpec.Database(3),
                new ServiceSpec { Name = "web", Redundancy = Redundancy.Hot, Activity = Activity.Spread, Instances = 3, Driver = new ProcessDriverSpec { Command = ["web"] } })
                with { Backups = jobs.ToDictionary(job => job.Name) }, 1),
        };
        foreach (var name in s_names) Tell(name, new NodeFacts());
    }

    public Knowledge Known { get; }
    public long Now { get; private set; } = Noon;
    public BackupRecord this[string job] => Known.State.Backups[job].Value;
    public NodeName? At(string job) => this[job].Running?.Node;

    public static BackupSpec Job(string name, string? service = null) => new()
    {
        Name = name, Service = service, Paths = service == "db" ? [] : ["/srv"], Repository = new BackupPlace("rest:https://backup/" + name, "/etc/password"),
        Schedules = new Dictionary<BackupTask, string> { [BackupTask.Full] = "weekly", [BackupTask.Incremental] = "hourly", [BackupTask.Verify] = "weekly" },
    };

    /// <summary>What a node says of itself from now on; its agent's session is told by <paramref name="session"/>.</summary>
    public void Tell(NodeName node, NodeFacts facts, ulong session = 0)
    {
        if (node == Known.Self)
        {
            Known.Own = facts with { WallClock = Now, StoreReachable = true };
            return;
        }
        _sequences[node] = _sequences.GetValueOrDefault(node) + 1;
        Known.Peers.Receive(new Beat
        {
            Sender = node, Session = session == 0 ? 20UL + node.Value[1] : session, Sequence = _sequences[node], Revision = 1, Incarnation = 1, Heard = [], Facts = facts with { StoreReachable = true },
        }, _awake, Known.Timings);
        Judge();
    }

    public static NodeFacts Runs(string service, bool active = false, bool streaming = true) => new()
    {
        Instances = [new InstanceFacts(service, InstanceStatus.Running, Health.Healthy) { Epoch = active ? new Epoch(1, 1) : null, Replication = new ReplicationFacts { Streaming = streaming } }],
    };

    /// <summary>Time passes, in which the nodes named stay silent.</summary>
    public void Pass(TimeSpan time, params NodeName[] silent)
    {
        (_awake, Now) = (_awake + time, Now + (long)time.TotalSeconds);
        foreach (var peer in Known.Peers.All.ToList())
            if (!silent.Contains(peer.Name)) Tell(peer.Name, peer.Last!.Facts, peer.Last.Session);
        Tell(Known.Self, Known.Own);
        Judge();
    }

    public void SetClock(long now)
    {
        Now = now;
        Tell(Known.Self, Known.Own);
    }

    public void Due(params DueBackup[] due) => Known.DueBackups = due;

    /// <summary>Decides, and commits what was decided.</summary>
    public int Decide()
    {
        Known.Awake = _awake;
        var batch = new DecisionBatch(Known, _codec);
        _decisions.Decide(batch);
        var desk = new CommitDesk(Known, new RequestIds(1));
        if (batch.IsEmpty) return 0;
        batch.Propose(desk);
        var transaction = Known.TakeEffects().OfType<Commit>().Single().Transaction;
        foreach (var write in transaction.Writes)
        {
            var job = write.Key[_codec.Keys.BackupPrefix.Length..];
            Put(job, write.Value is { } value ? JsonSerializer.Deserialize(value.Span, StateJson.Default.BackupRecord) : null);
        }
        return transaction.Writes.Count;
    }

    public void Put(string job, BackupRecord? record) => Known.State = Known.State with
    {
        Revision = Known.State.Revision + 1,
        Backups = record is null ? Known.State.Backups.Remove(job) : Known.State.Backups.SetItem(job, new(record, Known.State.Revision + 1)),
    };

    public void End(string job, bool good)
    {
        var run = this[job].Running!;
        Put(job, BackupBook.End(this[job], run, new BackupResult(run.Task, run.Node, Now, good, "words")));
    }

    private void Judge()
    {
        Known.Awake = _awake;
        _ = Known.Peers.Judge(_awake, Known.Timings).ToList();
    }
}

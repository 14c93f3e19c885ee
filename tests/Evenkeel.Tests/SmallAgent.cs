using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Guard;
using Evenkeel.Core.Loop.Instances;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests;

/// <summary>The parts of an agent's loop that keep instances and their data, wired as <see cref="AgentLoop"/> wires them; the test is guard, peers and store.</summary>
internal sealed class SmallAgent
{
    /// <summary>Of the guard that <see cref="Greet"/> speaks for.</summary>
    public static readonly GuardSession Session = new(7);
    private long beats;

    public SmallAgent(NodeName self)
    {
        Known = new Knowledge(self, new PeerTable(self, 1, twoWay: false)) { HasState = true };
        var ids = new RequestIds(1);
        Guard = new GuardSide(Known, ids, new DoorPolicy(null));
        Desk = new CommitDesk(Known, ids);
        Replication = new ReplicationSide(Known, Guard, Desk);
        Instances = new InstanceSide(Known, Guard, Replication);
    }

    public Knowledge Known { get; }
    public GuardSide Guard { get; }
    public CommitDesk Desk { get; }
    public ReplicationSide Replication { get; }
    public InstanceSide Instances { get; }

    /// <summary>The guard is there, and holds these leases.</summary>
    public void Greet(params HeldLease[] held) => Guard.OnMessage(new GuardHello(Session, 1, [], held, []));

    /// <summary>A beat of a peer; whether that lives is for <see cref="JudgePeers"/>.</summary>
    public void Hear(NodeName peer, NodeFacts facts) =>
        Known.Peers.Receive(new Beat { Sender = peer, Session = 5, Sequence = ++beats, Facts = facts }, Known.Awake, Known.Timings);

    public void JudgePeers() => _ = Known.Peers.Judge(Known.Awake, Known.Timings).ToList();

    /// <summary>The store takes a proposed sync set at once; null when none is among these.</summary>
    public SyncSet? Commit(IEnumerable<Effect> effects)
    {
        if (effects.OfType<Commit>().SingleOrDefault() is not { } commit) return null;
        var result = new CommitResult(CommitOutcome.Committed, Known.State.Revision + 1);
        var done = Assert.IsType<SyncSetProposal>(Desk.OnCompleted(new CommitCompleted(commit.Transaction.RequestId, result)));
        Known.State = Known.State with { Revision = result.Revision, SyncSets = Known.State.SyncSets.SetItem(done.Set.Service, new(done.Set, result.Revision)) };
        Replication.OnDecided(done, result);
        return done.Set;
    }
}

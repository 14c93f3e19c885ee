using Evenkeel.Core.Backups;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>What the controller does each step: compares what shall be with what is, and commits one batch of decisions.</summary>
public sealed class ControllerRole
{
    // The first owners are chosen when everybody had the time to come up; those that never come are not waited for.
    private static readonly TimeSpan settling = TimeSpan.FromSeconds(1);

    private readonly Knowledge known;
    private readonly CommitDesk desk;
    private readonly ControllerClaim claim;
    private readonly ControllerMemory memory;
    private readonly OwnerJudge judge;
    private readonly FenceDecisions fences;
    private readonly VipDecisions vips;
    private readonly ServiceDecisions services;
    private readonly BackupDecisions backups;
    private TimeSpan? workingSince;

    public ControllerRole(Knowledge known, CommitDesk desk, ControllerClaim claim)
    {
        (this.known, this.desk, this.claim) = (known, desk, claim);
        memory = new ControllerMemory(known);
        judge = new OwnerJudge(known, memory);
        vips = new VipDecisions(known, memory, judge);
        fences = new FenceDecisions(known);
        services = new ServiceDecisions(known, memory, judge, fences);
        backups = new BackupDecisions(known);
    }

    public ControllerMemory Memory => memory;

    public void OnTick(StateCodec codec)
    {
        memory.Observe();
        claim.Judge();
        claim.ClaimIfNeeded(codec);
        if (!claim.IsMe)
        {
            workingSince = null;
            memory.Deposed();
            return;
        }
        workingSince ??= known.Awake;
        // A just started loop has heard nobody yet: silence is not loss before the detection time has passed once.
        if (!desk.MayPropose || !claim.HearsMajority || known.Awake < 2 * known.Timings.Detection) return;
        if (known.Spec is not { } spec || !spec.Nodes.ContainsKey(known.Self)) return;
        var settled = known.Awake - workingSince > settling
            || spec.Nodes.Values.All(node => node.Role == NodeRole.Witness ? known.IsAlive(node.Name) : judge.MayOwn(node.Name));
        var batch = new DecisionBatch(known, codec);
        Quarantine(batch);
        RaiseFormat(batch);
        fences.Decide(batch);
        vips.Decide(batch, settled);
        services.Decide(batch, settled);
        backups.Decide(batch);
        if (!batch.IsEmpty) batch.Propose(desk);
    }

    public void OnPeerLost(Peer peer)
    {
        // Who said so before does not flap.
        if (peer.Last is not { Facts.Restarting: true }) memory.Flaps.Lost(peer.Name, known.Awake);
    }

    /// <summary>An operator (or the end of a quarantine) trusts the node again: what it did before does not count.</summary>
    public void OnResumed(NodeName node)
    {
        memory.Flaps.Forgive(node);
        memory.Failures.Forgive(node);
    }

    // Every member must read it, also one that is away now: it would come back to a state that it cannot read.
    private void RaiseFormat(DecisionBatch batch)
    {
        var least = known.Spec!.Nodes.Keys.Min(node => known.FactsOf(node)?.StateFormat ?? StateFormat.First);
        if (least > known.State.Format) batch.PutFormat(least);
    }

    private void Quarantine(DecisionBatch batch)
    {
        foreach (var node in known.Spec!.Nodes.Keys)
        {
            var mode = known.ModeOf(node);
            if (mode == NodeMode.Active && memory.Flaps.Flaps(node, known.Awake))
                batch.Put(new NodeRecord(node, NodeMode.Quarantined) { Reason = $"lost {FlapWatch.Limit} times within {FlapWatch.Window.TotalSeconds:0} s" }, AnnouncementKind.Quarantined);
            else if (mode == NodeMode.Quarantined && memory.SteadyFor(node) > FlapWatch.Steady)
            {
                memory.Flaps.Forgive(node);
                batch.DeleteNode(known.State.Nodes[node], AnnouncementKind.QuarantineEnded, $"{node} has been steady for {FlapWatch.Steady.TotalSeconds:0} s");
            }
        }
    }
}

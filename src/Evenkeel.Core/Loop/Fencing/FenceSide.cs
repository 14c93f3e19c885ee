using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Fencing;

/// <summary>An agent's own transaction: what came of cutting a node off.</summary>
public sealed record FenceProposal(FenceRecord Record) : Proposal;

/// <summary>
/// Carries committed fencings out, again and again until a device confirms, and commits what came of it. The controller's
/// agent does it, or, when that is the node to be cut off, the first other one by name. Two at once do no harm.
/// </summary>
public sealed class FenceSide(Knowledge known, CommitDesk desk)
{
    private static readonly TimeSpan firstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan longestPause = TimeSpan.FromSeconds(30);

    private sealed class Attempt
    {
        public bool UnderWay;
        public TimeSpan NotBefore;
        public TimeSpan Pause = firstPause;
        public FenceCompleted? Outcome;
    }

    private readonly SortedDictionary<NodeName, (long Number, Attempt Attempt)> attempts = [];

    public void OnTick(StateCodec codec, Controller? controller, bool hearsMajority)
    {
        if (!known.HasState || known.Spec is not { } spec) return;
        foreach (var gone in attempts.Where(pair => !pair.Value.Attempt.UnderWay && known.FenceOf(pair.Key)?.Number != pair.Value.Number).Select(pair => pair.Key).ToList())
            attempts.Remove(gone);
        foreach (var (node, versioned) in known.State.Fences)
        {
            if (known.FenceOf(node) is not { Phase: FencePhase.Asked } record || node == known.Self) continue;
            if (!attempts.TryGetValue(node, out var kept)) attempts[node] = kept = (record.Number, new Attempt());
            var attempt = kept.Attempt;
            if (attempt.Outcome is { } outcome) Tell(record, versioned.Revision, outcome, codec, attempt);
            // A copy may be old, and an old wish is no reason to switch a server off.
            else if (!attempt.UnderWay && known.Awake >= attempt.NotBefore && known.StoreReachable && hearsMajority
                && !known.IsSpared(record) && IsMine(node, controller) && spec.Nodes.TryGetValue(node, out var target) && target.Fence is { } device)
            {
                attempt.UnderWay = true;
                known.Add(new FenceNode(node, record.Number, device));
            }
        }
    }

    public void OnCompleted(FenceCompleted completed)
    {
        if (!attempts.TryGetValue(completed.Node, out var found) || found.Number != completed.Number) return;
        var attempt = found.Attempt;
        attempt.UnderWay = false;
        attempt.NotBefore = known.Awake + attempt.Pause;
        attempt.Pause = attempt.Pause * 2 < longestPause ? attempt.Pause * 2 : longestPause;
        if (known.FenceOf(completed.Node) is { Phase: FencePhase.Asked } record && (record.Number == completed.Number || !known.Rules.FencingIsNumbered))
            attempt.Outcome = completed;
        else attempts.Remove(completed.Node);
    }

    public void OnDecided(FenceProposal proposal, CommitResult result)
    {
        if (result.Outcome == CommitOutcome.Committed)
            known.Announce(proposal.Record.Phase == FencePhase.Confirmed ? AnnouncementKind.Fenced : AnnouncementKind.FenceFailed, $"{proposal.Record.Node}: {proposal.Record.Detail}", node: proposal.Record.Node);
    }

    private void Tell(FenceRecord record, long revision, FenceCompleted outcome, StateCodec codec, Attempt attempt)
    {
        var told = record with { Phase = outcome.Confirmed ? FencePhase.Confirmed : FencePhase.Asked, Detail = outcome.Reason };
        if (told == record) attempt.Outcome = null;
        else if (desk.MayPropose)
        {
            // What was committed is seen in the copy, and what was not is proposed again.
            if (!outcome.Confirmed) attempt.Outcome = null;
            desk.Propose(new FenceProposal(told), [new(codec.Keys.Fence(record.Node), revision), new(codec.Keys.Incarnation, known.State.IncarnationRevision)], [codec.Put(told)]);
        }
    }

    private bool IsMine(NodeName node, Controller? controller)
    {
        var first = controller is { } heard && heard.Node != node && known.IsAlive(heard.Node) ? heard.Node
            : known.Spec!.Nodes.Keys.Where(other => other != node && known.IsAlive(other)).Min();
        return first == known.Self;
    }
}

using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Membership;

public sealed record ClaimProposal(long Epoch) : Proposal;

/// <summary>
/// Who is the controller, and when this agent may claim to be it: nobody that it hears (and is heard by) works as one, a
/// majority of agents says the same, and its turn has come. Agents claim in the order of their names, three beats apart,
/// against duels; two that claim at once are sorted out by the compare-and-set (safety rule 1).
/// </summary>
public sealed class ControllerClaim(Knowledge known, CommitDesk desk)
{
    private TimeSpan? missingSince;
    private (long Epoch, TimeSpan At) committed;

    /// <summary>The controller that works, as far as this agent knows; itself included.</summary>
    public Controller? Heard { get; private set; }

    public bool IsMe => Heard?.Node == known.Self;

    /// <summary>More than half of the cluster's agents live, this one included: the view is wide enough to judge others.</summary>
    public bool HearsMajority => known.Spec is { } spec && spec.Nodes.Keys.Count(known.IsAlive) * 2 > spec.Nodes.Count;

    public void Judge()
    {
        var before = Heard;
        Heard = Find();
        if (Heard?.Node == before?.Node) return;
        known.BeatSoon = true;
        if (Heard is { } found) known.Announce(AnnouncementKind.ControllerChanged, $"the controller is {found.Node} (epoch {found.Epoch})", node: found.Node);
        else if (before!.Node == known.Self) known.Announce(AnnouncementKind.ControllerDeposed, "this agent is the controller no longer", node: known.Self);
    }

    public void ClaimIfNeeded(StateCodec codec)
    {
        var newest = known.State.Controller?.Value;
        if ((newest?.Epoch ?? 0) != committed.Epoch) committed = (newest?.Epoch ?? 0, known.Awake);
        if (Heard is not null)
        {
            missingSince = null;
            return;
        }
        missingSince ??= known.Awake;
        if (!known.HasState || !known.StoreReachable || known.Spec is not { } spec || !spec.Nodes.ContainsKey(known.Self)) return;
        // A new controller that we cannot hear needs the time to be named by those who can: two that are deaf to each other alone
        // would take turns for ever.
        if (newest is not null && newest.Node != known.Self && known.Awake - committed.At < known.Timings.Detection) return;
        // At the start nobody was heard yet; that says nothing.
        if (known.Awake < known.Timings.Detection || !desk.MayPropose) return;
        var without = spec.Nodes.Keys.Where(node => node == known.Self || DoesWithout(node)).ToList();
        if (known.Rules.MajorityClaims && without.Count * 2 <= spec.Nodes.Count) return;
        var turn = without.Order().ToList().IndexOf(known.Self);
        if (known.Awake - missingSince < 3 * turn * known.Timings.Beat) return;

        var state = known.State;
        var epoch = 1 + Math.Max(state.Controller?.Value.Epoch ?? 0, known.Peers.All.Max(peer => peer.Last?.Controller?.Epoch) ?? 0);
        desk.Propose(
            new ClaimProposal(epoch),
            [new Compare(codec.Keys.Controller, state.Controller?.Revision ?? 0), new Compare(codec.Keys.Incarnation, state.IncarnationRevision)],
            [codec.Put(new Controller(known.Self, epoch))]);
        missingSince = known.Awake;
    }

    private bool DoesWithout(NodeName node) =>
        known.IsAlive(node) && known.Peers.Find(node)?.Last is { } beat
        && (beat.Controller is null || beat.Controller.Epoch < (known.State.Controller?.Value.Epoch ?? 0));

    private Controller? Find()
    {
        var committed = known.State.Controller?.Value;
        // One that cannot commit is none, whatever it thinks.
        if (committed?.Node == known.Self) return known.StoreReachable && !desk.Stuck && HearsMajority ? committed : null;
        Controller? found = null;
        foreach (var peer in known.Peers.All)
        {
            if (!peer.Alive || peer.Last!.Controller is not { } named || named.Node != peer.Name) continue;
            if (named.Epoch >= (committed?.Epoch ?? 0) && named.Epoch > (found?.Epoch ?? 0)) found = named;
        }
        return found;
    }
}

using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>Whether an owner may stay, must go, or should go if somebody else can take over.</summary>
public enum Verdict
{
    Stays,
    /// <summary>A planned or mild reason: only if there is somebody better.</summary>
    ShouldGo,
    /// <summary>It surely cannot act, or must not.</summary>
    MustGo,
}

/// <summary>Judges owners and candidates of exclusive resources by beats and committed records.</summary>
public sealed class OwnerJudge(Knowledge known, ControllerMemory memory)
{
    // Voters first wait for older grants; an owner that then still has no majority will hardly get one.
    // A machine without processor time to spare fails its checks for a moment; a move would not help it.
    private static readonly TimeSpan unhealthyPatience = TimeSpan.FromSeconds(3);

    private TimeSpan GrantPatience => 4 * known.Timings.Lease + 4 * known.Timings.Detection;

    public (Verdict Verdict, string Why) Judge(ResourceId resource, Owner owner)
    {
        var spec = known.Spec!;
        if (!spec.Nodes.TryGetValue(owner.Node, out var node)) return (Verdict.MustGo, "the node left the cluster");
        if (owner.Epoch.Incarnation < known.State.Incarnation) return (Verdict.MustGo, "granted before the store was restored");
        if (known.FenceOf(owner.Node) is { Phase: FencePhase.Confirmed }) return (Verdict.MustGo, "it was cut off");
        // Its balancer ended with its agent, so a virtual IP cannot wait; a service runs on.
        if (resource.Kind != "vip" && known.IsAway(owner.Node)) return (Verdict.Stays, "");
        if (!known.IsAlive(owner.Node) && OthersHear(owner.Node)) return (Verdict.Stays, "");
        if (!known.IsAlive(owner.Node)) return (Verdict.MustGo, known.Peers.Find(owner.Node)?.Why is { Length: > 0 } why ? why : "never heard");
        if (known.FactsOf(owner.Node) is not { } facts) return (Verdict.MustGo, "nothing is known of it");
        if (facts.Guard != owner.Session) return (Verdict.MustGo, facts.Guard == default ? "its guard is gone" : "its guard was restarted");
        if (facts.Ended.Contains(new(resource, owner.Epoch)))
        {
            memory.Failed(resource, owner.Node, owner.Epoch);
            return (Verdict.MustGo, "its lease ended");
        }
        if (known.ModeOf(owner.Node) is NodeMode.Maintenance) return (Verdict.MustGo, "maintenance");
        if (node.Role == NodeRole.Witness) return (Verdict.MustGo, "it is a witness");
        if (!facts.Ready && memory.UnreadyFor(owner.Node) > known.Timings.Lease + 2 * known.Timings.Detection)
            return (Verdict.MustGo, "it is not ready");
        if (memory.NotHeldFor(resource, owner) > GrantPatience)
        {
            memory.Failed(resource, owner.Node, owner.Epoch);
            return (Verdict.MustGo, "it got no lease from a majority of voters");
        }
        if (resource.Kind == "vip" && facts.Restarting) return (Verdict.ShouldGo, "its agent restarts");
        if (resource.Kind == "vip" && !facts.PublicUp) return (Verdict.ShouldGo, "its public interface is down");
        if (resource.Kind == "vip" && IsBetterServedElsewhere(resource, owner.Node)) return (Verdict.ShouldGo, "a door of it cannot be opened there");
        if (known.ServiceOf(resource) is { } service && IsGivenUp(service, owner.Node))
        {
            memory.Failed(resource, owner.Node, owner.Epoch);
            return (Verdict.ShouldGo, "the service fails there");
        }
        if (resource.IsRun && memory.UnhealthyFor(resource, owner) > unhealthyPatience)
        {
            memory.Failed(resource, owner.Node, owner.Epoch);
            return (Verdict.ShouldGo, "its checks fail");
        }
        if (known.ModeOf(owner.Node) is NodeMode.Draining) return (Verdict.ShouldGo, "the node is being drained");
        return (Verdict.Stays, "");
    }

    // With max_failures it is restarted where it is until it has failed so often; but one that does not come back is not waited for.
    private bool IsGivenUp(ServiceSpec service, NodeName node)
    {
        if (memory.Failures.IsExhausted(service, node)) return true;
        return known.LiveInstance(node, service.Name) is { Status: InstanceStatus.Failed }
            && (service.Placement.MaxFailures is null || memory.Failures.FailedFor(service, node) > unhealthyPatience);
    }

    // A controller that goes deaf loses its peers one by one, and for a moment still believes to hear a majority; moving the
    // first silent one's resources would disturb a healthy owner. So while others still hear the node it gets another
    // detection time; when it really died, their next beats say so within milliseconds. No longer: else a node whose beats
    // do not reach the controller could keep for ever what it no longer holds (safety rules 10 and 11).
    private bool OthersHear(NodeName node) =>
        known.Peers.Find(node) is { } lost && known.Awake - lost.Since < known.Timings.Detection
        && known.Peers.All.Any(peer => peer.Alive && peer.Name != node && peer.Last!.Heard.Any(echo => echo.Peer == node));

    /// <summary>Whether the node could own exclusive resources at all.</summary>
    public bool MayOwn(NodeName name) =>
        known.Spec!.Nodes.TryGetValue(name, out var node) && node.Role == NodeRole.Full && known.IsAlive(name)
        && known.FenceOf(name) is null && known.FactsOf(name) is { Ready: true, Restarting: false } facts && facts.Guard != default
        && known.ModeOf(name) is NodeMode.Active or NodeMode.Quarantined && HearsVoters(name);

    public bool MayOwnVip(NodeName name) => MayOwn(name) && known.Spec!.Nodes[name].Public is not null && known.FactsOf(name)!.PublicUp;

    /// <summary>How many of these virtual IPs have a door that cannot be opened on the node.</summary>
    public int ShutOn(NodeName name, IEnumerable<string> vips) => known.FactsOf(name) is { Shut.Count: > 0 } facts ? vips.Count(vip => facts.Shut.Any(door => door.Vip == vip)) : 0;

    /// <summary>
    /// A door of it, or of its group, which moves as one, cannot be opened on this node, and on another one that may own it more can be. Where
    /// no node is better it is as well here: the others of its doors serve on.
    /// </summary>
    public bool IsBetterServedElsewhere(ResourceId vip, NodeName owner)
    {
        if (known.FactsOf(owner)!.Shut.Count == 0 || !known.Spec!.Vips.TryGetValue(vip.Name, out var spec)) return false;
        List<string> group = spec.Group is null ? [vip.Name] : [.. known.Spec.Vips.Values.Where(other => other.Group == spec.Group).Select(other => other.Name)];
        var here = ShutOn(owner, group);
        return here > 0 && known.Spec.Nodes.Keys.Any(node => node != owner && MayOwnVip(node) && ShutOn(node, group) < here);
    }

    // A majority of voters must grant its lease, so it must hear one; its echoes say whom it hears.
    private bool HearsVoters(NodeName name)
    {
        if (name == known.Self) return known.HearsVoters;
        var voters = known.Spec!.Voters.ToList();
        return voters.Count(voter => voter == name || (known.Peers.Find(name)?.Last?.Heard.Any(echo => echo.Peer == voter) ?? false)) * 2 > voters.Count;
    }
}

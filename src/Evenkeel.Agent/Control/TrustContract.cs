using Evenkeel.Agent.Trust;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <param name="Hash">As in <c>evenkeel join --authority</c>.</param>
/// <param name="Certificate">PEM; clients of the API trust it.</param>
/// <param name="Issues">It signs certificates now.</param>
public sealed record AuthorityEntry(string Hash, string Certificate, DateTimeOffset Ends, bool Issues);

/// <param name="Issuer">Hash of the authority that has signed the node's certificate; null when it has not said.</param>
/// <param name="Ends">When its certificate ends; it is renewed long before.</param>
/// <param name="GuardKeys">Numbers of the keys that its guard knows.</param>
/// <param name="Waits">What it has still to do for the change that is under way; null: nothing.</param>
public sealed record NodeTrust(NodeName Node, string? Issuer, string? Serial, DateTimeOffset? Ends, IReadOnlyList<int> GuardKeys, int GuardSeals, string? Waits);

/// <summary>Whom the cluster trusts, and how far a change of that is.</summary>
/// <param name="Authorities">The older first, while one takes the other's place.</param>
/// <param name="Holder">The node that has the key of the newest; null when no change has been made yet and this node has it not.</param>
/// <param name="Stepwise">Each phase waits for <c>evenkeel ca rotate --step</c>.</param>
/// <param name="GuardKeys">Numbers of the keys of the guards' datagrams.</param>
/// <param name="GuardSeals">The one that seals.</param>
/// <param name="GuardSealsSince">Null when not known: it is of an earlier version.</param>
public sealed record TrustStatus(
    AuthorityPhase Phase, IReadOnlyList<AuthorityEntry> Authorities, NodeName? Holder, bool Stepwise, IReadOnlyList<NodeTrust> Nodes,
    IReadOnlyList<int> GuardKeys, int GuardSeals, DateTimeOffset? GuardSealsSince)
{
    /// <summary>No change is under way, and every node is through with the last one.</summary>
    public bool Done => Phase == AuthorityPhase.Settled && Nodes.All(node => node.Waits is null);
}

/// <param name="Stepwise">The next phase begins only when asked for; asking again in the middle takes one step.</param>
/// <param name="LostKey">The present authority's key is lost for good: the node that answers makes the new one.</param>
public sealed record AuthorityRotation(bool Stepwise, bool LostKey);

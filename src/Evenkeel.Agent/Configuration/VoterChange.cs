using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>
/// Voters change one at a time: then every majority of the voters before shares a voter with every majority of those after, and no
/// two owners can both be granted a lease (as in Raft's single-server changes, Ongaro 2014, section 4.1).
/// </summary>
public static class VoterChange
{
    /// <param name="before">The spec in force.</param>
    /// <param name="after">The spec to come.</param>
    /// <param name="lagging">Live nodes that have not yet taken the spec in force: the change before this one is still under way.</param>
    /// <returns>Why the change must not be made, or null.</returns>
    public static (string Why, string Mend)? WhyNot(ClusterSpec before, ClusterSpec after, IReadOnlyCollection<NodeName> lagging)
    {
        HashSet<NodeName> changed = [.. before.Voters];
        changed.SymmetricExceptWith(after.Voters);
        return changed.Count switch
        {
            0 => null,
            > 1 => ($"the voters would change at {changed.Count} nodes at once ({string.Join(", ", changed.Order())}): a majority of the old ones and one of the new ones might not meet",
                "Apply it node by node: to exchange one voter for another, add the new one first, then take the old one out"),
            _ when lagging.Count > 0 => ($"the change before this one has not reached {string.Join(", ", lagging.Order())} yet",
                "Try again in a second; if it stays so, see evenkeel status"),
            _ => null,
        };
    }
}

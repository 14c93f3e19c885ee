using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Can the nodes make a majority, and is somebody there to run services and hold virtual IPs?</summary>
internal static class NodeChecks
{
    public static void All(Names names, ClusterSpec spec, Findings findings)
    {
        // Nodes that could not be read are counted by name, else one typing error would look like a missing witness.
        if (names.Nodes.Count != spec.Nodes.Count)
            return;
        var nodes = spec.Nodes.Values.ToList();
        var full = nodes.Count(node => node.Role == NodeRole.Full);
        var voters = nodes.Where(node => node.Votes).ToList();
        if (nodes.Count == 0)
            findings.Error("nodes", "there are no nodes", "Add at least one; three make a cluster that survives the loss of any one");
        else if (full == 0)
            findings.Error("nodes", "every node is a witness: nobody could run a service", "Remove 'role: witness' from the servers");
        if (nodes.Count > 0 && voters.Count == 0)
            findings.Error("nodes", "no node votes, so nobody could ever own anything", "Remove 'votes: false' from an odd number of nodes");
        if (voters.Count == 2 && !voters.TrueForAll(node => node.Fence is not null))
            findings.Error("nodes", "two votes without a witness or fencing: when one node is lost, the other cannot know whether it is dead or only cut off, and must stop too",
                "Add a third node with 'role: witness' (any small machine)");
        else if (voters.Count == 2)
            findings.Warning("nodes", "two votes: when one node is lost the other has no majority, cannot even fence it, and stops what is exclusive too",
                "Add a third node with 'role: witness' (any small machine)");
        else if (voters.Count > 2 && voters.Count % 2 == 0)
            findings.Warning("nodes", $"{voters.Count} votes survive no more losses than {voters.Count - 1}, and can split evenly", "Add a witness, or set 'votes: false' on one node");
        foreach (var witness in nodes.Where(node => node is { Role: NodeRole.Witness, Votes: false }))
            findings.Error($"nodes.{witness.Name}.votes", "a witness that does not vote does nothing at all", "Remove 'votes: false', or the node");
        if (spec.Vips.Count > 0 && full > 0 && !nodes.Exists(node => node is { Role: NodeRole.Full, Public: not null }))
            findings.Error("vips", "no node has a public address, so none could own a virtual IP", "Add 'public: ADDRESS' to the servers");
        else if (spec.Vips.Count > 0 && nodes.Count > 1 && nodes.Count(node => node is { Role: NodeRole.Full, Public: not null }) == 1)
            findings.Warning("vips", "only one node has a public address: when it is lost, virtual IPs have nowhere to go", "Add 'public: ADDRESS' to another server");
    }
}

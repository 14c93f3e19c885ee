using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Preflight;

/// <summary>The server that is looked at, as the node that it is or is to be.</summary>
public sealed record PreflightSubject
{
    public required ClusterSpec Spec { get; init; }
    public required NodeName Node { get; init; }
    /// <summary>Where its state is or will be; need not exist.</summary>
    public required string StateDirectory { get; init; }
    /// <summary>The agent itself asks: its ports are taken by itself, and peers are expected to answer.</summary>
    public bool Runs { get; init; }
    /// <summary>Who has each virtual IP now, as the agent knows; empty before there is a cluster.</summary>
    public IReadOnlyDictionary<string, NodeName> Owners { get; init; } = new Dictionary<string, NodeName>();
    /// <summary>What the guard says that it may not do here.</summary>
    public IReadOnlyList<string> GuardMisses { get; init; } = [];

    public NodeSpec Self => Spec.Nodes[Node];
    public IEnumerable<NodeSpec> Others => Spec.Nodes.Values.Where(node => node.Name != Node).OrderBy(node => node.Name);
    public bool HoldsStore => Self.Votes && Spec.Coordination.Kind == CoordinationKind.Managed;

    /// <summary>The node of the file whose private addresses this server has; null when that is none, or not one alone.</summary>
    public static NodeName? Guess(ClusterSpec spec, IReadOnlyCollection<IPAddress> here)
    {
        var found = spec.Nodes.Values.Where(node => node.Private.All(here.Contains)).Take(2).ToList();
        return found.Count == 1 ? found[0].Name : null;
    }
}

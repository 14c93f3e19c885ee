namespace Evenkeel.Services.Ocf.Tools;

/// <summary>A resource as the tools show it.</summary>
/// <param name="Running">Nodes on which it runs, as far as this node knows.</param>
/// <param name="Promoted">The promoted node; null when none is known.</param>
internal sealed record ResourceView(string Service, string Agent, bool Promotable, IReadOnlyList<string> Running, string? Promoted);

/// <summary>What the tools may tell: this node, and what its driver knows.</summary>
internal sealed record ClusterView(string Node, IReadOnlyList<string> Nodes, IReadOnlyList<ResourceView> Resources)
{
    public ResourceView? Find(string service) => Resources.FirstOrDefault(one => one.Service == service);
}

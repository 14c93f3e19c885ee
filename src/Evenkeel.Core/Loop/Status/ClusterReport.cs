using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Status;

public enum Severity
{
    /// <summary>Worth knowing.</summary>
    Note,
    /// <summary>Everything serves, but less is left to lose.</summary>
    Weakened,
    /// <summary>Something that shall run does not.</summary>
    Broken,
}

/// <summary>What is wrong, where, and what to do about it.</summary>
/// <param name="Subject">A node, service, VIP, or <c>cluster</c>.</param>
/// <param name="Mend">What the operator can do; empty when the cluster mends it by itself.</param>
public sealed record Finding(Severity Severity, string Subject, string What, string Mend);

/// <summary>An exclusive resource: where it is and why there.</summary>
public sealed record ResourceStanding(ResourceId Resource, Owner? Owner, bool Held, string Why, IReadOnlyList<CandidateStanding> Candidates);

/// <summary>A node that could own it, or the first reason why not.</summary>
public sealed record CandidateStanding(NodeName Node, bool Fit, string Why);

/// <summary>A service's instance on a node, wanted or found.</summary>
public sealed record InstanceStanding(string Service, NodeName Node, bool Wanted, InstanceFacts? Facts, string Why);

public sealed record NodeStanding(NodeName Node, bool Alive, NodeMode Mode, bool Ready, string Why, NodeFacts? Facts);

/// <summary>The cluster as one agent sees it: data for `status`, `explain` and the dashboard.</summary>
public sealed record ClusterReport(
    Controller? Controller, bool HasQuorum, IReadOnlyList<NodeStanding> Nodes, IReadOnlyList<ResourceStanding> Resources,
    IReadOnlyList<InstanceStanding> Instances, IReadOnlyList<Finding> Findings)
{
    public bool AllIsWell => Findings.All(finding => finding.Severity == Severity.Note);
}

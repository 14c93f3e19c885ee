namespace Evenkeel.Agent.Api;

/// <summary>What the bearer of a token may do; each may do all that the one before may. Whoever may open the local socket is an admin.</summary>
public enum ApiRole
{
    /// <summary>Looks: status, events, plans, metrics.</summary>
    Viewer,
    /// <summary>Runs the cluster as it is: drains, moves, fences; reads logs and diagnostics.</summary>
    Operator,
    /// <summary>Changes what the cluster is: its file, its nodes, its keys, who may speak to it.</summary>
    Admin,
}

using Evenkeel.Core.Model;
using Evenkeel.Services.Ocf.Agents;

namespace Evenkeel.Services.Ocf;

/// <summary>What an agent's actions are told of their resource. Kept in the host's memory, so that a later agent can still stop it rightly.</summary>
internal sealed record ResourceContext
{
    public required string Service { get; init; }
    public required AgentName Agent { get; init; }
    public required IReadOnlyDictionary<string, string> Parameters { get; init; }
    /// <summary>What agents call this node (<c>uname</c>).</summary>
    public required string Node { get; init; }
    /// <summary>The agent is used with its two roles; else it is an ordinary resource.</summary>
    public bool Promotable { get; init; }
    /// <summary>Copies over the cluster; 0 for an ordinary resource, which has no clones.</summary>
    public int Copies { get; init; }
    /// <summary>The agent has a notify action.</summary>
    public bool Notify { get; init; }
    /// <summary>The promoted node as far as known; null when there is none.</summary>
    public string? PromotedNode { get; init; }
    public IReadOnlyList<string> OtherNodes { get; init; } = [];
    /// <summary>Of the lease under which it acts; null in a standby and in a spread service.</summary>
    public Epoch? Epoch { get; init; }
    public bool Promoted { get; init; }
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(20);
    public ulong Version { get; init; }
}

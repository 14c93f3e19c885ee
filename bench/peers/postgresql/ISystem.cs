using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;

namespace Evenkeel.PostgreSqlBench;

/// <summary>Three nodes with a replicated PostgreSQL that loses no acknowledged write, by one tool or another.</summary>
internal interface ISystem : IAsyncDisposable
{
    string Name { get; }
    LabNetwork Network { get; }
    IReadOnlyList<NodeName> Nodes { get; }
    /// <summary>Where clients in their namespace find the primary, whoever it is.</summary>
    string Address { get; }

    Task StartAsync();

    /// <summary>Both standbys follow, and one at least is synchronous.</summary>
    Task<bool> IsWholeAsync();

    Task<NodeName?> PrimaryAsync();

    /// <summary>An operator moves the primary's role from this node to a synchronous standby.</summary>
    Task SwitchoverAsync(NodeName from);

    /// <summary>As a power failure of the node.</summary>
    void Kill(NodeName node);

    void BringBack(NodeName node);
}

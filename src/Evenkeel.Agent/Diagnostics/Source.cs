namespace Evenkeel.Agent.Diagnostics;

/// <summary>One file of a node's diagnostics.</summary>
/// <param name="Name">Its path in the bundle, below the node's directory.</param>
/// <param name="ReadAsync">Its text, secrets and all. Throws what says why it cannot be had; null: there is nothing of the kind here.</param>
/// <param name="IsClusterFile">Its secrets are found by its structure.</param>
internal sealed record Source(string Name, Func<CancellationToken, Task<string?>> ReadAsync, bool IsClusterFile = false);

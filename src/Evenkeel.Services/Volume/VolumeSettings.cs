using Evenkeel.Core.Model;

namespace Evenkeel.Services.Volume;

/// <summary>What the driver of volumes needs to know of its node.</summary>
public sealed record VolumeSettings
{
    /// <summary>The program whose <c>volume serve-leg</c> and <c>volume write</c> are the two processes.</summary>
    public required string Program { get; init; }
    /// <summary>Sockets, and the files by which arrays are shown; the agent's own alone. A socket's path has 108 bytes at most.</summary>
    public required string RunDirectory { get; init; }
    public required string LogDirectory { get; init; }
    /// <summary>Of the node's certificate; null in tests alone.</summary>
    public string? Certificates { get; init; }
    /// <summary>A node's private addresses, the first link first.</summary>
    public required Func<NodeName, IReadOnlyList<string>> AddressesOf { get; init; }
    /// <summary>Bytes that the managed heap of either process may hold.</summary>
    public long HeapLimit { get; init; } = 192 << 20;
}

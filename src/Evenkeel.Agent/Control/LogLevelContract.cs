using Evenkeel.Core.Model;
using Microsoft.Extensions.Logging;

namespace Evenkeel.Agent.Control;

/// <param name="Node">Whose agent's they are.</param>
public sealed record LogLevelsReport(NodeName Node, IReadOnlyList<LogLevelReport> Categories);

/// <param name="About">What is told in it.</param>
/// <param name="Until">When it goes back to Information by itself; null where it is at the standard level.</param>
public sealed record LogLevelReport(string Category, string About, LogLevel Level, DateTimeOffset? Until);

/// <param name="Category">Null: every one.</param>
/// <param name="Level">Null: back to the standard level.</param>
/// <param name="Lasts">How long the level stays so; more than nothing, at most seven days.</param>
public sealed record LogLevelOrder(string? Category, LogLevel? Level, TimeSpan Lasts)
{
    /// <summary>For the audit trail.</summary>
    public override string ToString() => $"{Category ?? "every category"} {(Level is { } level ? $"{level.ToString().ToLowerInvariant()} for {Lasts}" : "reset")}";
}

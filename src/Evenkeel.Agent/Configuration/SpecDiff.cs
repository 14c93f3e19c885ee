using System.Text.RegularExpressions;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

public enum ChangeKind { Added, Removed, Changed }

/// <summary>What applying a change does to what runs, from harmless to refused.</summary>
public enum ChangeEffect
{
    /// <summary>Nothing that clients or services notice.</summary>
    None,
    Starts,
    /// <summary>The balancer or an address changes; nothing restarts.</summary>
    Reroutes,
    /// <summary>Services or virtual IPs may go to other nodes.</summary>
    Moves,
    Restarts,
    Stops,
    /// <summary>Cannot be changed while the cluster runs; applying is refused.</summary>
    Impossible,
}

/// <param name="Path">Of the key, as in diagnostics.</param>
/// <param name="Before">Null when added.</param>
/// <param name="After">Null when removed.</param>
/// <param name="Consequence">In words, what applying it will do.</param>
public sealed record SpecChange(ChangeKind Kind, string Path, string? Before, string? After, ChangeEffect Effect, string Consequence);

/// <summary>What changes between two specs, key by key, and what that will do.</summary>
public static partial class SpecDiff
{
    /// <summary>In the order of paths. A whole node, VIP or service that comes or goes is one change.</summary>
    /// <param name="before">Null when there is no committed spec yet.</param>
    public static IReadOnlyList<SpecChange> Between(ClusterSpec? before, ClusterSpec after)
    {
        var old = before is null ? [] : SpecText.Flatten(before);
        var now = SpecText.Flatten(after);
        var changes = new List<SpecChange>();
        var whole = new HashSet<string>(StringComparer.Ordinal);
        foreach (var path in old.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
        {
            var (had, has) = (old.GetValueOrDefault(path), now.GetValueOrDefault(path));
            if (had == has)
                continue;
            // Everything of an added or removed part differs: say it once, for the part.
            if (Part().Match(path) is { Success: true } part && part.Value is var name
                && (had is null) != (has is null)
                && (had is null ? old : now).Keys.All(key => !key.StartsWith(name + ".", StringComparison.Ordinal)))
            {
                if (whole.Add(name))
                    changes.Add(Describe(had is null ? ChangeKind.Added : ChangeKind.Removed, name, null, null, before, after));
                continue;
            }
            changes.Add(Describe(had is null ? ChangeKind.Added : has is null ? ChangeKind.Removed : ChangeKind.Changed, path, had, has, before, after));
        }
        return changes;
    }

    private static SpecChange Describe(ChangeKind kind, string path, string? had, string? has, ClusterSpec? before, ClusterSpec after)
    {
        var (effect, words) = Consequence.Of(kind, path, before, after);
        return new SpecChange(kind, path, had, has, effect, words);
    }

    [GeneratedRegex(@"^(nodes|vips|services|volumes|backups)\.[^.]+")]
    private static partial Regex Part();
}

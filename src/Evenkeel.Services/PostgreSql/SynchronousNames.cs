using System.Text.RegularExpressions;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>The setting <c>synchronous_standby_names</c>: every named node confirms each commit.</summary>
internal static partial class SynchronousNames
{
    /// <summary>No standby has this name, so commits wait until the setting changes.</summary>
    public const string Nobody = "evenkeel_nobody";

    public static string Text(IReadOnlyList<NodeName> required, bool strict) => required.Count > 0
        ? $"FIRST {required.Count} ({string.Join(',', required.Select(node => $"\"{node}\""))})"
        : strict ? $"FIRST 1 ({Nobody})" : "";

    /// <summary>The nodes of a text that <see cref="Text"/> wrote; empty for any other, which promises nothing that we know.</summary>
    public static IReadOnlyList<NodeName> Parse(string text)
    {
        if (Ours().Match(text) is not { Success: true } match)
        {
            return [];
        }

        var nodes = match.Groups["names"].Value.Split(',').Select(name => new NodeName(name.Trim('"'))).ToList();
        return int.TryParse(match.Groups["count"].ValueSpan, out var count) && count == nodes.Count ? nodes : [];
    }

    [GeneratedRegex("""^FIRST (?<count>[0-9]+) \((?<names>"[a-z0-9-]+"(,"[a-z0-9-]+")*)\)$""")]
    private static partial Regex Ours();
}

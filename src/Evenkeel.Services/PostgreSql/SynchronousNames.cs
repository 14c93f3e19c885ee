using System.Globalization;
using System.Text.RegularExpressions;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>Each commit waits for so many of these nodes; nobody, where there are none.</summary>
internal sealed record CommitWait(IReadOnlyList<NodeName> Nodes, int Any)
{
    public static readonly CommitWait Nobody = new([], 0);

    public bool Equals(CommitWait? other) => other is not null && Any == other.Any && Nodes.SequenceEqual(other.Nodes);
    public override int GetHashCode() => HashCode.Combine(Any, Nodes.Count);
}

/// <summary>The setting <c>synchronous_standby_names</c>: every named node confirms each commit, or any so many of them.</summary>
internal static partial class SynchronousNames
{
    /// <summary>No standby has this name, so commits wait until the setting changes.</summary>
    public const string Nobody = "evenkeel_nobody";

    public static CommitWait Of(IReadOnlyList<NodeName> required, int? any) => new(required, Math.Min(any ?? required.Count, required.Count));

    /// <param name="any">For so many of them, whichever confirm first; null: for all.</param>
    public static string Text(IReadOnlyList<NodeName> required, int? any, bool strict) => Of(required, any) switch
    {
        { Any: > 0 } wait => string.Create(CultureInfo.InvariantCulture, $"{(wait.Any < required.Count ? "ANY" : "FIRST")} {wait.Any} ({string.Join(',', required.Select(node => $"\"{node}\""))})"),
        _ => strict ? $"FIRST 1 ({Nobody})" : "",
    };

    /// <summary>What a text that <see cref="Text"/> wrote says; nobody for any other, which promises nothing that we know.</summary>
    public static CommitWait Parse(string text)
    {
        if (Ours().Match(text) is not { Success: true } match || !int.TryParse(match.Groups["count"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            return CommitWait.Nobody;
        }

        var nodes = match.Groups["names"].Value.Split(',').Select(name => new NodeName(name.Trim('"'))).ToList();
        // FIRST with fewer than all waits for those named first alone: nothing that we write.
        var fits = match.Groups["how"].Value == "ANY" ? count > 0 && count < nodes.Count : count == nodes.Count;
        return fits ? new CommitWait(nodes, count) : CommitWait.Nobody;
    }

    [GeneratedRegex("""^(?<how>FIRST|ANY) (?<count>[0-9]+) \((?<names>"[a-z0-9-]+"(,"[a-z0-9-]+")*)\)$""")]
    private static partial Regex Ours();
}

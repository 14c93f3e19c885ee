using System.Globalization;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Ocf.Tools;

/// <summary><c>crm_node</c>: who this node and the others are; <c>pacemakerd</c>: a version, for agents that ask which tools there are.</summary>
internal static class NodeTool
{
    private static readonly ToolOption[] s_options =
    [
        new("name", "n", ["name"], false), new("list", "l", ["list"], false), new("partition", "p", ["partition"], false),
        new("quorum", "q", ["quorum"], false), new("id", "i", ["cluster-id"], false), new("name-of", "N", ["name-for-id"], true),
        new("quiet", "Q", ["quiet"], false), new("verbose", "V", ["verbose"], false),
    ];

    public static ToolAnswer Answer(ToolCall call, ClusterView view)
    {
        var options = ToolOptions.Parse(call.Arguments, s_options);
        return options switch
        {
            { Problem: { } problem } => ToolExit.Wrong(call.Program, problem),
            _ when options.Has("list") => ToolExit.Ok(string.Concat(view.Nodes.Select(node => $"{Id(node)} {node} member\n"))),
            _ when options.Has("partition") => ToolExit.Ok(string.Join(' ', view.Nodes) + "\n"),
            // The action would not run without the lease that a majority grants.
            _ when options.Has("quorum") => ToolExit.Ok("1\n"),
            _ when options.Has("id") => ToolExit.Ok(Id(view.Node) + "\n"),
            _ when options["name-of"] is { } id => view.Nodes.FirstOrDefault(node => Id(node) == id) is { } found ? ToolExit.Ok(found + "\n") : ToolExit.NotFound(id),
            _ => ToolExit.Ok(view.Node + "\n"),
        };
    }

    public static ToolAnswer Version() => ToolExit.Ok("Pacemaker 2.1.5\nWritten by Andrew Beekhof and the Pacemaker project contributors (tools of Evenkeel)\n");

    /// <summary>A number for a node, the same on every node (FNV-1a, 31 bits, never zero).</summary>
    internal static string Id(string node) =>
        ((node.Aggregate(2166136261u, (hash, c) => (hash ^ c) * 16777619u) & 0x7fffffff) | 1).ToString(CultureInfo.InvariantCulture);
}

using System.Collections;
using System.Xml.Linq;
using System.Xml.XPath;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Attributes;

namespace Evenkeel.Services.Ocf.Tools;

/// <summary><c>crm_mon</c> and <c>cibadmin -Q</c>: the state as XML, as much of it as stock agents look for.</summary>
internal sealed class StateTool(IAttributes attributes)
{
    private static readonly ToolOption[] s_cib =
    [
        new("query", "Q", ["query"], false), new("local", "l", ["local"], false), new("xpath", "A", ["xpath"], true),
        new("scope", "o", ["scope", "obj_type"], true), new("verbose", "V", ["verbose"], false),
    ];

    /// <summary>In XML whatever format was asked for: agents parse nothing else.</summary>
    public static ToolAnswer Monitor(ClusterView view) => ToolExit.Ok(
        new XElement("pacemaker-result",
            new XElement("nodes", view.Nodes.Select(node => new XElement("node", new XAttribute("name", node), new XAttribute("id", NodeTool.Id(node)), new XAttribute("online", "true")))),
            new XElement("resources", view.Resources.Select(Element))) + "\n");

    public async Task<ToolAnswer> CibAsync(ToolCall call, ClusterView view, CancellationToken cancellation)
    {
        var options = ToolOptions.Parse(call.Arguments, s_cib);
        if (options.Problem is { } problem)
        {
            return ToolExit.Wrong(call.Program, problem);
        }

        if (!options.Has("query"))
        {
            return ToolExit.NotHere(call.Program, "a change of the configuration");
        }

        var cib = Cib(view, await attributes.AllAsync(cancellation).ConfigureAwait(false));
        if (options["xpath"] is not { } path)
        {
            return ToolExit.Ok(cib + "\n");
        }

        try
        {
            var found = ((IEnumerable)new XDocument(cib).XPathEvaluate(path)).OfType<XElement>().ToList();
            return found.Count switch
            {
                0 => ToolExit.NotFound("Call cib_query failed"),
                1 => ToolExit.Ok(found[0] + "\n"),
                _ => ToolExit.Ok(new XElement("xpath-query", found) + "\n"),
            };
        }
        catch (Exception exception) when (exception is XPathException or InvalidCastException)
        {
            return ToolExit.Wrong(call.Program, exception.Message);
        }
    }

    // One line a resource, its attributes in Pacemaker's order: agents look for them with regular expressions.
    private static IEnumerable<XElement> Element(ResourceView resource) => resource.Running.Select(node => new XElement("resource",
        new XAttribute("id", resource.Service), new XAttribute("resource_agent", "ocf:" + resource.Agent),
        new XAttribute("role", !resource.Promotable ? "Started" : node == resource.Promoted ? "Promoted" : "Unpromoted"),
        new XAttribute("active", "true"), new XAttribute("orphaned", "false"), new XAttribute("blocked", "false"), new XAttribute("managed", "true"),
        new XAttribute("failed", "false"), new XAttribute("failure_ignored", "false"), new XAttribute("nodes_running_on", "1"),
        new XElement("node", new XAttribute("name", node), new XAttribute("id", NodeTool.Id(node)), new XAttribute("cached", "false"))));

    private static XElement Cib(ClusterView view, IReadOnlyDictionary<AttributeKey, string> all) => new("cib",
        new XAttribute("validate-with", "none"), new XAttribute("have-quorum", "1"),
        new XElement("configuration",
            new XElement("crm_config", new XElement("cluster_property_set", Pairs(all, key => key.IsOfCluster))),
            new XElement("nodes", view.Nodes.Select(node => new XElement("node", new XAttribute("id", NodeTool.Id(node)), new XAttribute("uname", node),
                new XElement("instance_attributes", Pairs(all, key => key == AttributeKey.Permanent(node, key.Name))))))),
        new XElement("status", view.Nodes.Select(node => new XElement("node_state",
            new XAttribute("id", NodeTool.Id(node)), new XAttribute("uname", node), new XAttribute("crmd", "online"),
            new XElement("transient_attributes", new XElement("instance_attributes", Pairs(all, key => key == AttributeKey.Transient(node, key.Name))))))));

    private static IEnumerable<XElement> Pairs(IReadOnlyDictionary<AttributeKey, string> all, Func<AttributeKey, bool> which) =>
        all.Where(pair => which(pair.Key)).OrderBy(pair => pair.Key.Name, StringComparer.Ordinal).Select(pair => new XElement("nvpair",
            new XAttribute("id", $"{pair.Key.Scope}-{pair.Key.Name}"), new XAttribute("name", pair.Key.Name), new XAttribute("value", pair.Value)));
}

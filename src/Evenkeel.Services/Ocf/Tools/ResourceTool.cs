using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Attributes;

namespace Evenkeel.Services.Ocf.Tools;

/// <summary>
/// <c>crm_resource</c>: where a resource runs, and what it takes (<c>-z</c>). What would change another resource is refused:
/// that is the operators' business.
/// </summary>
internal sealed class ResourceTool(IAttributes attributes)
{
    private static readonly ToolOption[] s_options =
    [
        new("resource", "r", ["resource"], true), new("locate", "W", ["locate"], false), new("utilization", "z", ["utilization"], false),
        new("set", "p", ["set-parameter"], true), new("value", "v", ["parameter-value"], true), new("get", "g", ["get-parameter"], true),
        new("delete", "d", ["delete-parameter"], true), new("meta", "m", ["meta"], false), new("quiet", "Q", ["quiet"], false),
        new("operations", "O", ["list-operations"], false), new("node", "N", ["node"], true), new("list", "l", ["list-raw", "list"], false),
        new("force", "f", ["force"], false), new("verbose", "V", ["verbose"], false),
    ];

    public async Task<ToolAnswer> AnswerAsync(ToolCall call, ClusterView view, CancellationToken cancellation)
    {
        var options = ToolOptions.Parse(call.Arguments, s_options);
        if (options.Problem is not null)
        {
            return ToolExit.NotHere(call.Program, string.Join(' ', call.Arguments));
        }

        var resource = options["resource"] ?? call.Instance;
        if (options.Has("locate"))
        {
            return view.Find(resource) is { Running.Count: > 0 } found
                ? ToolExit.Ok(string.Concat(found.Running.Select(node => options.Has("quiet") ? node + "\n"
                    : $"resource {resource} is running on: {node}{(node == found.Promoted ? " Promoted" : "")}\n")))
                : ToolExit.NotFound($"resource {resource} is NOT running");
        }

        if (options.Has("list"))
        {
            return ToolExit.Ok(string.Concat(view.Resources.Select(one => one.Service + "\n")));
        }

        if (options.Has("operations"))
        {
            return ToolExit.Ok();
        }

        var name = options["set"] ?? options["get"] ?? options["delete"];
        if (!options.Has("utilization") || name is null)
        {
            return ToolExit.NotHere(call.Program, string.Join(' ', call.Arguments));
        }

        var key = AttributeKey.Utilisation("resource:" + resource, name);
        if (options.Has("get"))
        {
            return await attributes.GetAsync(key, cancellation).ConfigureAwait(false) is { } value ? ToolExit.Ok(value + "\n") : ToolExit.NotFound(name);
        }

        await attributes.SetAsync(key, options.Has("delete") ? null : options["value"], cancellation).ConfigureAwait(false);
        return ToolExit.Ok();
    }
}

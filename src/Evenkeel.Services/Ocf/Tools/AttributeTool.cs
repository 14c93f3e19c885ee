using System.Globalization;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Attributes;

namespace Evenkeel.Services.Ocf.Tools;

/// <summary>
/// <c>crm_attribute</c>, <c>crm_master</c> and <c>attrd_updater</c>, with the options that stock agents give (crm_attribute(8),
/// attrd_updater(8) of Pacemaker 2.1).
/// </summary>
internal sealed class AttributeTool(IAttributes attributes)
{
    private static readonly ToolOption[] s_attribute =
    [
        new("name", "n", ["name", "attr-name"], true), new("update", "v", ["update", "attr-value"], true),
        new("query", "G", ["query", "get-value"], false), new("delete", "D", ["delete", "delete-attr"], false),
        new("quiet", "qQ", ["quiet"], false), new("node", "NU", ["node", "uname", "host-uname"], true),
        new("lifetime", "l", ["lifetime"], true), new("type", "t", ["type"], true), new("set", "s", ["set-name"], true),
        new("utilization", "z", ["utilization"], false), new("default", "d", ["default"], true),
        new("promotion", "p", ["promotion"], false), new("verbose", "V", ["verbose"], false), new("inhibit", "!", ["inhibit-policy-engine"], false),
    ];
    private static readonly ToolOption[] s_updater =
    [
        new("name", "n", ["name"], true), new("update", "Uv", ["update"], true), new("both", "B", ["update-both"], true),
        new("query", "Q", ["query"], false), new("delete", "D", ["delete"], false), new("node", "N", ["node"], true),
        new("set", "Ss", ["set"], true), new("delay", "d", ["delay"], true), new("lifetime", "l", ["lifetime"], true),
        new("private", "p", ["private"], false), new("all", "A", ["all"], false), new("quiet", "q", ["quiet"], false), new("verbose", "V", ["verbose"], false),
    ];

    public async Task<ToolAnswer> AttributeAsync(ToolCall call, ClusterView view, CancellationToken cancellation)
    {
        var options = ToolOptions.Parse(call.Arguments, s_attribute);
        if (options.Problem is { } problem)
        {
            return ToolExit.Wrong(call.Program, problem);
        }

        if (call.Program == "crm_master" || options.Has("promotion"))
        {
            // `-p` may name the resource; without, it is the one whose agent asks.
            var resource = options.Rest.FirstOrDefault() ?? call.Instance;
            return await ApplyAsync(call.Program, options, AttributeKey.Score(options["node"] ?? view.Node, resource.Split(':')[0]), "nodes", cancellation).ConfigureAwait(false);
        }

        if (options["name"] is not { Length: > 0 } name)
        {
            return ToolExit.Wrong(call.Program, "which attribute? Give --name");
        }

        var node = options["node"] is { } given && given is not ("local" or "localhost") ? given : view.Node;
        var (key, scope) = options switch
        {
            _ when options.Has("utilization") => (AttributeKey.Utilisation(node, name), "nodes"),
            _ when options["type"] is "crm_config" or "rsc_defaults" or "op_defaults" or "tickets" => (AttributeKey.OfCluster(name), options["type"]!),
            _ when options["lifetime"] == "reboot" || options["type"] == "status" => (AttributeKey.Transient(node, name), "status"),
            _ when options.Has("node") || options.Has("lifetime") || options["type"] == "nodes" => (AttributeKey.Permanent(node, name), "nodes"),
            _ => (AttributeKey.OfCluster(name), "crm_config"),
        };
        return await ApplyAsync(call.Program, options, key, scope, cancellation).ConfigureAwait(false);
    }

    public async Task<ToolAnswer> UpdaterAsync(ToolCall call, ClusterView view, CancellationToken cancellation)
    {
        var options = ToolOptions.Parse(call.Arguments, s_updater);
        if (options.Problem is { } problem || options["name"] is not { Length: > 0 } name)
        {
            return ToolExit.Wrong(call.Program, options.Problem ?? "which attribute? Give --name");
        }

        var key = AttributeKey.Transient(options["node"] ?? view.Node, name);
        if (!options.Has("query"))
        {
            return await ApplyAsync(call.Program, options, key, "status", cancellation).ConfigureAwait(false);
        }

        var found = (await attributes.AllAsync(cancellation).ConfigureAwait(false))
            .Where(one => one.Key.IsTransient && one.Key.Name == name && (options.Has("all") || one.Key.Node == key.Node)).ToList();
        return found.Count == 0 ? ToolExit.NotFound($"Could not query value of {name}")
            : ToolExit.Ok(string.Concat(found.Select(one => $"name=\"{name}\" host=\"{one.Key.Node}\" value=\"{one.Value}\"\n")));
    }

    private async Task<ToolAnswer> ApplyAsync(string program, ToolOptions options, AttributeKey key, string scope, CancellationToken cancellation)
    {
        try
        {
            var before = await attributes.GetAsync(key, cancellation).ConfigureAwait(false);
            if (options.Has("delete"))
            {
                await attributes.SetAsync(key, null, cancellation).ConfigureAwait(false);
                return ToolExit.Ok();
            }

            if ((options["update"] ?? options["both"]) is { } value && !options.Has("query"))
            {
                await attributes.SetAsync(key, Counted(value, key.Name, before), cancellation).ConfigureAwait(false);
                return ToolExit.Ok();
            }

            return (before ?? options["default"]) is not { } known ? ToolExit.NotFound("Error performing operation")
                : ToolExit.Ok(options.Has("quiet") ? known + "\n" : $"scope={scope}  name={key.Name} value={known}\n");
        }
        catch (IOException exception)
        {
            return ToolExit.Failed(program, exception.Message);
        }
    }

    // `-n fails -v fails++` and `-v fails+=2` count on from the value that is there.
    private static string Counted(string value, string name, string? before)
    {
        var old = int.TryParse(before, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : 0;
        if (value == name + "++" || value == "value++")
        {
            return (old + 1).ToString(CultureInfo.InvariantCulture);
        }

        return value.StartsWith(name + "+=", StringComparison.Ordinal) && int.TryParse(value.AsSpan(name.Length + 2), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var more)
            ? (old + more).ToString(CultureInfo.InvariantCulture) : value;
    }
}

namespace Evenkeel.Services.Ocf;

/// <summary>
/// The <c>notify_*</c> variables of a notification, as far as one node knows them: itself, the promoted node, and the other
/// nodes of the service. Only changes on this node, and changes of the promoted node, are told.
/// </summary>
internal static class NotifyVariables
{
    public static IEnumerable<KeyValuePair<string, string>> For(ResourceContext resource, string when, string operation, string changing)
    {
        var all = resource.OtherNodes.Prepend(resource.Node).Distinct(StringComparer.Ordinal).ToList();
        var promoted = resource.Promoted ? resource.Node : resource.PromotedNode;
        var unpromoted = all.Where(node => node != promoted).ToList();
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["type"] = when, ["operation"] = operation,
            ["all_uname"] = string.Join(' ', all), ["all_hosts"] = string.Join(' ', all),
            ["available_uname"] = string.Join(' ', all), ["active_uname"] = string.Join(' ', all),
            ["promoted_uname"] = promoted ?? "", ["master_uname"] = promoted ?? "",
            ["unpromoted_uname"] = string.Join(' ', unpromoted), ["slave_uname"] = string.Join(' ', unpromoted),
        };
        foreach (var one in (string[])["start", "stop", "promote", "demote"])
        {
            variables[one + "_uname"] = one == operation ? changing : "";
            variables[one + "_resource"] = one == operation ? resource.Service : "";
        }

        foreach (var set in (string[])["active", "promoted", "master", "unpromoted", "slave"])
        {
            var count = variables[set + "_uname"].Length == 0 ? 0 : variables[set + "_uname"].Split(' ').Length;
            variables[set + "_resource"] = string.Join(' ', Enumerable.Repeat(resource.Service, count));
        }

        return variables.Select(pair => KeyValuePair.Create("OCF_RESKEY_CRM_meta_notify_" + pair.Key, pair.Value));
    }
}

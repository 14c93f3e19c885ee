using System.Globalization;

namespace Evenkeel.Services.Ocf;

/// <summary>
/// The environment of an action (resource agent API 1.1, section 3; the <c>CRM_meta</c> variables as Pacemaker's executor sets
/// them, for stock agents are written against those).
/// </summary>
/// <param name="root">OCF_ROOT.</param>
/// <param name="tools">The directory of the cluster tools that agents call.</param>
/// <param name="scratch">HA_RSCTMP: the agents' own state files, gone after a boot.</param>
/// <param name="socket">Where those tools reach this driver.</param>
internal sealed class ActionEnvironment(string root, string tools, string scratch, string socket)
{
    private const string StandardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    /// <summary>Of Pacemaker 2.1.5: what agents compare to know which options the tools have.</summary>
    private const string FeatureSet = "3.16.2";

    /// <param name="interval">Zero for a probe and for all that does not recur.</param>
    public Dictionary<string, string> For(ResourceContext resource, string action, TimeSpan timeout, TimeSpan interval)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["PATH"] = $"{tools}:{StandardPath}",
            ["SHELL"] = "/bin/bash", ["LANG"] = "C", ["LC_ALL"] = "C", ["HOME"] = "/root",
            ["OCF_ROOT"] = root,
            ["OCF_RA_VERSION_MAJOR"] = "1", ["OCF_RA_VERSION_MINOR"] = "1",
            ["OCF_RESOURCE_INSTANCE"] = resource.Service,
            ["OCF_RESOURCE_TYPE"] = resource.Agent.Type, ["OCF_RESOURCE_PROVIDER"] = resource.Agent.Provider,
            ["OCF_EXIT_REASON_PREFIX"] = ActionOutcome.ReasonPrefix,
            ["OCF_CHECK_LEVEL"] = resource.Parameters.GetValueOrDefault("OCF_CHECK_LEVEL", "0"),
            ["HA_SBIN_DIR"] = tools, ["HA_RSCTMP"] = scratch, ["HA_LOGFACILITY"] = "none", ["HA_debug"] = "0",
            ["HA_cluster_type"] = "corosync",
            ["EVENKEEL_HOST_SOCKET"] = socket,
            ["OCF_RESKEY_crm_feature_set"] = FeatureSet,
        };
        Meta("name", action == "monitor" && interval == TimeSpan.Zero ? "monitor" : action);
        Meta("interval", Milliseconds(interval));
        Meta("timeout", Milliseconds(timeout));
        Meta("on_node", resource.Node);
        Meta("on_node_uuid", resource.Node);
        if (resource.Copies > 0)
        {
            Meta("clone", "0");
            Meta("clone_max", resource.Copies.ToString(CultureInfo.InvariantCulture));
            Meta("clone_node_max", "1");
            Meta("globally_unique", "false");
            Meta("notify", resource.Notify ? "true" : "false");
        }

        if (resource.Promotable)
        {
            Meta("promotable", "true");
            Meta("promoted_max", "1");
            Meta("promoted_node_max", "1");
            Meta("master_max", "1"); // What agents of the 1.0 API read.
            Meta("master_node_max", "1");
        }

        if (action == "monitor" && interval > TimeSpan.Zero && resource.Promotable)
        {
            Meta("role", resource.Promoted ? "Promoted" : "Unpromoted");
        }

        foreach (var (name, value) in resource.Parameters)
        {
            variables["OCF_RESKEY_" + name] = value;
        }

        return variables;

        void Meta(string name, string value) => variables["OCF_RESKEY_CRM_meta_" + name] = value;
    }

    private static string Milliseconds(TimeSpan time) => ((long)time.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
}

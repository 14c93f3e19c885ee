using System.Globalization;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>The control API's port is nobody else's, and it is served somewhere.</summary>
internal static class ApiChecks
{
    private static readonly int[] s_ours = [PrivatePorts.Peer, PrivatePorts.Guard, PrivatePorts.Store, PrivatePorts.Desk, PrivatePorts.Enrolment, PrivatePorts.EtcdClient, PrivatePorts.EtcdPeer];

    public static void All(ClusterSpec spec, Findings findings)
    {
        if (spec.Api is not { } api)
            return;
        if (s_ours.Contains(api.Port))
            findings.Error("api.port", string.Create(CultureInfo.InvariantCulture, $"nodes use port {api.Port} among themselves"), "Choose another port; 7807 when left out");
        if (api.Listen == ApiListen.Public && spec.Nodes.Values.All(node => node.Public is null))
            findings.Error("api.listen", "no node has a public address: the API would be served nowhere", "Write 'private', or give the nodes public addresses");
        if (api.Listen != ApiListen.Private)
            findings.Warning("api.listen", "clients of the cluster's services can reach the control API: its tokens alone keep them out", "Write 'private' unless operators cannot come by the private network");
    }
}

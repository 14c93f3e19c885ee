using System.Net;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>The other nodes answer on every private link; where a cluster runs, on every port of it that speaks TCP.</summary>
internal sealed class ReachCheck(PreflightSubject subject) : PreflightCheck("reachable", subject)
{
    public override async Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation) =>
        [.. await Task.WhenAll(Subject.Others.SelectMany(peer => peer.Private.Select((address, link) => OfAsync(peer, address, link, cancellation)))).ConfigureAwait(false)];

    private async Task<PreflightFinding> OfAsync(NodeSpec peer, IPAddress address, int link, CancellationToken cancellation)
    {
        var own = Subject.Self.Private[Math.Min(link, Subject.Self.Private.Count - 1)];
        var ports = Ports(peer, link);
        var answers = await Task.WhenAll(ports.Select(port => TcpProbe.AskAsync(own, new IPEndPoint(address, port), cancellation))).ConfigureAwait(false);
        var silent = ports.Where((_, at) => answers[at] == TcpAnswer.Silent).ToList();
        var closed = ports.Where((_, at) => answers[at] == TcpAnswer.Refused).ToList();
        const string mend = "Is it up, cabled, in the same VLAN? A firewall must let the private ports through: TCP 7801, 7803, 7805, 7806, 2379, 2380 and UDP 7802";
        if (silent.Count == ports.Count)
        {
            var what = $"{peer.Name} does not answer at {address} (asked from {own})";
            return Subject.Runs ? Failed(what, mend) : Warning(what, mend);
        }

        return silent.Count > 0 ? Failed($"{peer.Name} answers at {address}, but not on TCP {string.Join(", ", silent)}: something drops it", mend)
            : Subject.Runs && closed.Count > 0 ? Failed($"{peer.Name} at {address} refuses TCP {string.Join(", ", closed)}: what should listen there does not run", $"systemctl status evenkeel on {peer.Name}; evenkeel status")
            : Passed($"{peer.Name} answers at {address}");
    }

    // An etcd listens on the first link alone.
    private List<int> Ports(NodeSpec peer, int link) =>
        [PrivatePorts.Peer, PrivatePorts.Desk, .. link == 0 && peer.Votes && Subject.Spec.Coordination.Kind == CoordinationKind.Managed ? [PrivatePorts.EtcdClient, PrivatePorts.EtcdPeer] : Array.Empty<int>()];
}

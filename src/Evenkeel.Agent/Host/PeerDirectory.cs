using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Transport;

namespace Evenkeel.Agent.Host;

/// <summary>Tells the transport whom to send to, whenever the committed spec changes. For the loop's thread alone.</summary>
internal sealed class PeerDirectory(NodeName self, TlsPeerTransport transport)
{
    private long _seen = -1;

    public void Follow(Versioned<ClusterSpec>? spec)
    {
        if (spec is not { } committed || committed.Revision == _seen)
        {
            return;
        }

        _seen = committed.Revision;
        transport.SetPeers(committed.Value.Nodes.Values.Where(node => node.Name != self).ToDictionary(
            node => node.Name,
            node => (IReadOnlyList<PrivateEndpoint>)[.. node.Private.Select(address => new PrivateEndpoint(address, PrivatePorts.Peer))]));
    }
}

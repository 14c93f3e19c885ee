using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Transport;

namespace Evenkeel.Agent.Host;

/// <summary>Tells the transport whom to send to, whenever the committed spec changes.</summary>
internal sealed class PeerDirectory(NodeName self, TlsPeerTransport transport)
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    public async Task FollowAsync(Func<Versioned<ClusterSpec>?> spec, CancellationToken cancellation)
    {
        long seen = -1;
        using var timer = new PeriodicTimer(Period);
        try
        {
            do
            {
                if (spec() is { } committed && committed.Revision != seen)
                {
                    seen = committed.Revision;
                    transport.SetPeers(committed.Value.Nodes.Values.Where(node => node.Name != self).ToDictionary(
                        node => node.Name,
                        node => (IReadOnlyList<PrivateEndpoint>)[.. node.Private.Select(address => new PrivateEndpoint(address, PrivatePorts.Peer))]));
                }
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }
}

using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Ports;

/// <summary>
/// Carries beats between agents over mutual TLS on the private connection, on every private link of the peer.
/// A send never blocks and never queues more than one beat a link: a newer beat replaces one that could not leave yet.
/// Delivery may lose, and (over several links) double and reorder; the beat's sequence number sorts that out.
/// </summary>
public interface IPeerTransport : IAsyncDisposable
{
    /// <summary>Called on the transport's threads with the authenticated sender and one whole message of at most 256 KiB.</summary>
    event Action<NodeName, ReadOnlyMemory<byte>>? Received;

    void Send(NodeName to, ReadOnlyMemory<byte> message);

    /// <summary>The newest version of beats that the peer says it reads; null while it has not said.</summary>
    byte? VersionOf(NodeName peer);
}

using System.Net;

namespace Evenkeel.Core.PrivateConnection;

/// <summary>
/// An address of the private connection: node-to-node traffic only. A type of its own, so that a heartbeat cannot
/// compile onto a public address (nor a client listener onto a private one).
/// </summary>
public sealed record PrivateEndpoint(IPAddress Address, int Port)
{
    public IPEndPoint ToIPEndPoint() => new(Address, Port);
    public override string ToString() => ToIPEndPoint().ToString();
}

using System.Net;

namespace Evenkeel.Core.PublicConnection;

/// <summary>An address of the public connection: clients only. See <see cref="PrivateConnection.PrivateEndpoint"/>.</summary>
public sealed record PublicEndpoint(IPAddress Address, int Port)
{
    public IPEndPoint ToIPEndPoint() => new(Address, Port);
    public override string ToString() => ToIPEndPoint().ToString();
}

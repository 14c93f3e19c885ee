using System.Globalization;
using System.Net.Sockets;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>
/// 10.92.N.0/24, this one's alone on the machine until it is disposed of or its process ends: N is held by the name of an abstract
/// socket (unix(7)), which leaves nothing behind.
/// </summary>
internal sealed class NetworkShare : IDisposable
{
    private readonly int number;
    private readonly Socket held;

    public NetworkShare()
    {
        for (number = 1; ; number++)
        {
            held = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                held.Bind(new UnixDomainSocketEndPoint(string.Create(CultureInfo.InvariantCulture, $"\0evenkeel-farm-{number}")));
                return;
            }
            catch (SocketException) when (number < 254)
            {
                held.Dispose();
            }
        }
    }

    public string Address(int host) => string.Create(CultureInfo.InvariantCulture, $"10.92.{number}.{host}");

    public void Dispose() => held.Dispose();
}

/// <summary>Farms one after the other: their tests fill both cores of a small machine.</summary>
[Xunit.CollectionDefinition("farm")]
public sealed class FarmTests;

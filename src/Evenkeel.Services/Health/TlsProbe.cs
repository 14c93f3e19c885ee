using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Health;

/// <summary>Passes when a TLS handshake completes.</summary>
public sealed class TlsProbe(IPEndPoint target, string? name) : IProbe
{
    public async Task<string?> CheckAsync(CancellationToken cancellation)
    {
        using var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(target, cancellation).ConfigureAwait(false);
            return await TlsHealth.CheckAsync(new NetworkStream(socket), name, cancellation).ConfigureAwait(false) is { } problem ? $"{target}: {problem}" : null;
        }
        catch (Exception failure) when (failure is SocketException or IOException)
        {
            return $"{target}: {failure.Message}";
        }
    }
}

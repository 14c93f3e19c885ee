using System.Net;
using System.Net.Sockets;

namespace Evenkeel.Agent.Preflight;

internal enum TcpAnswer
{
    Open,
    /// <summary>The machine is there, and nobody listens on that port.</summary>
    Refused,
    Silent,
}

/// <summary>Whether somebody accepts connections somewhere.</summary>
internal static class TcpProbe
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <param name="own">Asked from; null: as the routes say.</param>
    public static async Task<TcpAnswer> AskAsync(IPAddress? own, IPEndPoint peer, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        using var socket = new Socket(peer.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (own is not null)
            {
                socket.Bind(new IPEndPoint(own, 0));
            }

            await socket.ConnectAsync(peer, limit.Token).ConfigureAwait(false);
            return TcpAnswer.Open;
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionRefused)
        {
            return TcpAnswer.Refused;
        }
        catch (Exception exception) when (exception is SocketException || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return TcpAnswer.Silent;
        }
    }
}

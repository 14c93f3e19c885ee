using System.Buffers;
using System.Net;
using Evenkeel.PublicConnection.Balancer.Preface;
using Microsoft.AspNetCore.Connections;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Takes the PROXY header of a trusted proxy off the front of a connection: from then on its client is the one that the proxy named.</summary>
internal static class Announcement
{
    /// <summary>False when there is none, or none in time: the connection must not be served.</summary>
    public static async Task<bool> TakeAsync(ConnectionContext connection, TimeSpan patience)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed);
        waiting.CancelAfter(patience);
        var input = connection.Transport.Input;
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(waiting.Token).ConfigureAwait(false);
                var (state, length, client) = Read(read.Buffer);
                if (state == PrefaceState.Complete)
                {
                    input.AdvanceTo(read.Buffer.GetPosition(length));
                    if (client is not null) connection.RemoteEndPoint = client;
                    return true;
                }
                input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                if (state == PrefaceState.Invalid || read.IsCompleted || read.Buffer.Length >= ProxyHeader.MostBytes) return false;
            }
        }
        catch (Exception end) when (end is OperationCanceledException or IOException)
        {
            return false;
        }
    }

    private static (PrefaceState State, int Length, IPEndPoint? Client) Read(ReadOnlySequence<byte> buffer)
    {
        var bytes = buffer.IsSingleSegment ? buffer.FirstSpan : buffer.Slice(0, Math.Min(buffer.Length, ProxyHeader.MostBytes)).ToArray();
        var state = ProxyHeader.Read(bytes, out var length, out var client);
        return (state, length, client);
    }
}

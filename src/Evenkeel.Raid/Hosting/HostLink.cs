using System.Net.Sockets;
using System.Text.Json;

namespace Evenkeel.Raid.Hosting;

/// <summary>The operator's end of a host's control socket.</summary>
public sealed class HostLink : IDisposable
{
    private readonly NetworkStream _stream;
    private readonly StreamReader _reader;

    private HostLink(NetworkStream stream) => (_stream, _reader) = (stream, new StreamReader(stream));

    /// <summary>Connects; null if nobody listens there.</summary>
    public static async Task<HostLink?> TryConnectAsync(string path, CancellationToken stop)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), stop).ConfigureAwait(false);
            return new HostLink(new NetworkStream(socket, ownsSocket: true));
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <summary>Sends an order and waits for its answer.</summary>
    /// <exception cref="IOException">The host ended meanwhile.</exception>
    public async Task<HostAnswer> OrderAsync(HostOrder order, CancellationToken stop)
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(order, HostJson.Default.HostOrder), (byte)'\n'];
        await _stream.WriteAsync(line, stop).ConfigureAwait(false);
        var answer = await _reader.ReadLineAsync(stop).ConfigureAwait(false) ?? throw new IOException("The array's process ended.");
        return JsonSerializer.Deserialize(answer, HostJson.Default.HostAnswer)!;
    }

    /// <summary>Returns when the host's process has closed its end.</summary>
    public async Task WaitForEndAsync(CancellationToken stop)
    {
        try
        {
            while (await _reader.ReadLineAsync(stop).ConfigureAwait(false) is not null)
            {
            }
        }
        catch (IOException)
        {
            // As good as an end.
        }
    }

    public void Dispose()
    {
        _reader.Dispose();
        _stream.Dispose();
    }
}

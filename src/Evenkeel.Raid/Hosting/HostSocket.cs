using System.Net.Sockets;
using System.Text.Json;

namespace Evenkeel.Raid.Hosting;

/// <summary>A host's control socket: a Unix socket that its owner alone may open. Orders of a connection are answered in turn.</summary>
public sealed class HostSocket : IAsyncDisposable
{
    private const int LongestLine = 64 * 1024;
    private readonly Socket _listener;
    private readonly string _path;
    private readonly ArrayHost _host;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    private HostSocket(Socket listener, string path, ArrayHost host)
    {
        (_listener, _path, _host) = (listener, path, host);
        _accepting = AcceptAsync();
    }

    /// <summary>Begins to listen; a socket that a dead host left is taken over.</summary>
    /// <exception cref="IOException">A host answers there: the array runs already.</exception>
    public static HostSocket Start(string path, ArrayHost host)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (File.Exists(path))
        {
            if (IsAnswered(path)) throw new IOException($"An array is served at {path} already.");
            File.Delete(path);
        }

        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            listener.Listen(16);
            return new HostSocket(listener, path, host);
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Stops listening and removes the socket; connections end with the process.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        await _accepting.ConfigureAwait(false);
        File.Delete(_path);
        _stop.Dispose();
    }

    private static bool IsAnswered(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                _ = Task.Run(() => ServeAsync(client));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // Closed.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        try
        {
            await using var stream = new NetworkStream(client, ownsSocket: true);
            using var reader = new StreamReader(stream, bufferSize: LongestLine);
            while (await reader.ReadLineAsync().ConfigureAwait(false) is { Length: <= LongestLine } line)
            {
                HostAnswer answer;
                try
                {
                    var order = JsonSerializer.Deserialize(line, HostJson.Default.HostOrder);
                    answer = order is null ? new HostAnswer("No order.", false, null) : await _host.ObeyAsync(order).ConfigureAwait(false);
                }
                catch (JsonException e)
                {
                    answer = new HostAnswer(e.Message, false, null);
                }

                await stream.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(answer, HostJson.Default.HostAnswer)).ConfigureAwait(false);
                await stream.WriteAsync("\n"u8.ToArray()).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The other side is gone.
        }
    }
}

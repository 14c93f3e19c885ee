using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Ocf.Hosting;

/// <summary>
/// The socket to which hosts and the cluster tools of stock agents connect. Readable and writable for its owner alone, for who
/// writes there runs programs.
/// </summary>
internal sealed class HostServer : IAsyncDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly Func<ToolCall, CancellationToken, Task<ToolAnswer>> _answer;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource<HostConnection>> _hosts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Socket, byte> _open = new();

    /// <param name="path">Of the socket, at most 107 bytes long.</param>
    public HostServer(string path, Func<ToolCall, CancellationToken, Task<ToolAnswer>> answer)
    {
        _answer = answer;
        Path = path;
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!, OwnerOnly);
        File.Delete(path);
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen(64);
        _ = AcceptAsync();
    }

    public string Path { get; }

    /// <summary>The connection of this very process, as soon as it has called.</summary>
    /// <exception cref="TimeoutException">It did not call in time.</exception>
    public async Task<HostConnection> HostAsync(string instance, int process, TimeSpan patience, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(patience);
        try
        {
            return await Slot(instance, process).Task.WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"the host of {instance} did not call within {patience.TotalSeconds:0.#} s");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        foreach (var socket in _open.Keys)
        {
            socket.Dispose();
        }
    }

    private TaskCompletionSource<HostConnection> Slot(string instance, int process) =>
        _hosts.GetOrAdd($"{instance}/{process}", _ => new TaskCompletionSource<HostConnection>(TaskCreationOptions.RunContinuationsAsynchronously));

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Closed.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        _open[socket] = 0;
        HostConnection? host = null;
        try
        {
            while (await ReadAsync(socket).ConfigureAwait(false) is { } message)
            {
                switch (message)
                {
                    case HostHello hello when host is null:
                        host = new HostConnection(socket, hello);
                        Slot(hello.Instance, hello.ProcessId).TrySetResult(host);
                        break;
                    case ToolCall call:
                        var answer = await _answer(call, _stop.Token).ConfigureAwait(false);
                        await socket.SendAsync(HostProtocolJson.Frame(answer), _stop.Token).ConfigureAwait(false);
                        break;
                    default:
                        host?.OnMessage(message);
                        break;
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or IOException or InvalidDataException or JsonException or OperationCanceledException or ObjectDisposedException)
        {
            // Gone, or speaks another language: both end here.
        }
        finally
        {
            if (host is not null)
            {
                _hosts.TryRemove($"{host.Instance}/{host.ProcessId}", out _);
                host.OnGone();
            }

            _open.TryRemove(socket, out _);
            socket.Dispose();
        }
    }

    private async Task<HostMessage?> ReadAsync(Socket socket)
    {
        var prefix = new byte[HostProtocolJson.PrefixLength];
        if (!await FillAsync(socket, prefix).ConfigureAwait(false))
        {
            return null;
        }

        var body = new byte[HostProtocolJson.Length(prefix)];
        return await FillAsync(socket, body).ConfigureAwait(false) ? HostProtocolJson.Parse(body) : null;
    }

    private async Task<bool> FillAsync(Socket socket, Memory<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var count = await socket.ReceiveAsync(buffer, _stop.Token).ConfigureAwait(false);
            if (count == 0)
            {
                return false;
            }

            buffer = buffer[count..];
        }

        return true;
    }
}

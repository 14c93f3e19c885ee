using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// A volume process's control socket, which root alone may open: each report goes to whoever is connected, and the last one to
/// whoever comes; what they say are orders.
/// </summary>
internal sealed class ReportSocket<TOrder, TReport> : IAsyncDisposable where TOrder : class where TReport : class
{
    private const int LongestLine = 1 << 20;
    private readonly Socket _listener;
    private readonly JsonTypeInfo<TOrder> _orderType;
    private readonly JsonTypeInfo<TReport> _reportType;
    private readonly Action<TOrder> _ordered;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<NetworkStream> _clients = [];
    private readonly Task _accepting;
    private TReport? _last;

    /// <exception cref="SocketException">The path cannot be had.</exception>
    public ReportSocket(string path, JsonTypeInfo<TOrder> orderType, JsonTypeInfo<TReport> reportType, Action<TOrder> ordered)
    {
        (_orderType, _reportType, _ordered) = (orderType, reportType, ordered);
        _listener = ListenAt(path);
        _accepting = Task.Run(AcceptAsync);
    }

    /// <summary>Listens on a Unix socket; the guard runs one process of a name, so whoever left the path is gone.</summary>
    public static Socket ListenAt(string path)
    {
        File.Delete(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen(8);
        return listener;
    }

    /// <summary>Tells it when it differs from the last.</summary>
    public void Tell(TReport report)
    {
        lock (_gate)
        {
            if (report.Equals(_last))
            {
                return;
            }

            _last = report;
            var line = Line(report);
            _clients.RemoveAll(client => !TrySend(client, line));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        await _accepting.ConfigureAwait(false);
        lock (_gate)
        {
            _clients.ForEach(client => client.Dispose());
        }
    }

    private byte[] Line(TReport report) => [.. JsonSerializer.SerializeToUtf8Bytes(report, _reportType), (byte)'\n'];

    private static bool TrySend(NetworkStream client, byte[] line)
    {
        try
        {
            client.Write(line);
            return true;
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException)
        {
            client.Dispose();
            return false;
        }
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var socket = await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                socket.SendTimeout = 1000; // An agent that hangs must not hang its volumes.
                var client = new NetworkStream(socket, ownsSocket: true);
                lock (_gate)
                {
                    if (_last is null || TrySend(client, Line(_last)))
                    {
                        _clients.Add(client);
                    }
                }

                _ = Task.Run(() => HearAsync(client));
            }
            catch (Exception closed) when (closed is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }
        }
    }

    private async Task HearAsync(NetworkStream client)
    {
        try
        {
            using var reader = new StreamReader(client, Encoding.UTF8, leaveOpen: true);
            while (await reader.ReadLineAsync(_stop.Token).ConfigureAwait(false) is { Length: < LongestLine } line)
            {
                if (JsonSerializer.Deserialize(line, _orderType) is { } order)
                {
                    _ordered(order);
                }
            }
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException or OperationCanceledException or JsonException)
        {
            // The agent restarts; another will connect.
        }
    }
}

using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Evenkeel.Services.Volume;

/// <summary>
/// The agent's end of a volume process's control socket: hears its reports, says its orders (the last one again after each
/// connection). Connects until it is disposed; a process that is gone is simply not heard.
/// </summary>
internal sealed class ProcessLink<TOrder, TReport> : IAsyncDisposable where TOrder : class where TReport : class
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private readonly string _path;
    private readonly JsonTypeInfo<TOrder> _orderType;
    private readonly JsonTypeInfo<TReport> _reportType;
    private readonly Action<TReport?> _heard;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly Task _running;
    private TaskCompletionSource<TReport> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Stream? _stream;
    private TOrder? _order;

    /// <param name="heard">Each report; null when the process is not heard any more.</param>
    public ProcessLink(string path, JsonTypeInfo<TOrder> orderType, JsonTypeInfo<TReport> reportType, Action<TReport?> heard)
    {
        (_path, _orderType, _reportType, _heard) = (path, orderType, reportType, heard);
        _running = Task.Run(RunAsync);
    }

    /// <summary>What the process said last; null while it is not heard.</summary>
    public TReport? Report { get; private set; }

    /// <summary>Completes with a report of the process that is connected, or the next.</summary>
    public Task<TReport> FirstReport => _first.Task;

    /// <summary>Said at once where there is a connection, and at the begin of each later one.</summary>
    public async Task OrderAsync(TOrder order)
    {
        await _sending.WaitAsync().ConfigureAwait(false);
        try
        {
            _order = order;
            await SayAsync().ConfigureAwait(false);
        }
        finally
        {
            _sending.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
    }

    private async Task SayAsync()
    {
        if (_stream is not { } stream || _order is not { } order)
        {
            return;
        }

        try
        {
            await stream.WriteAsync((byte[])[.. JsonSerializer.SerializeToUtf8Bytes(order, _orderType), (byte)'\n'], _stop.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // Said again when it is back.
        }
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await using var stream = new NetworkStream(await ConnectedAsync(socket).ConfigureAwait(false), ownsSocket: true);
                await _sending.WaitAsync(_stop.Token).ConfigureAwait(false);
                try
                {
                    _stream = stream;
                    await SayAsync().ConfigureAwait(false);
                }
                finally
                {
                    _sending.Release();
                }

                using var reader = new StreamReader(stream, Encoding.UTF8);
                while (await reader.ReadLineAsync(_stop.Token).ConfigureAwait(false) is { } line)
                {
                    if (JsonSerializer.Deserialize(line, _reportType) is { } report)
                    {
                        Report = report;
                        _first.TrySetResult(report);
                        _heard(report);
                    }
                }
            }
            catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException or OperationCanceledException or JsonException)
            {
                // It is not there yet, or no longer.
            }

            _stream = null;
            if (Report is not null)
            {
                Report = null;
                _first = new TaskCompletionSource<TReport>(TaskCreationOptions.RunContinuationsAsynchronously);
                _heard(null);
            }

            await Task.Delay(Pause, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<Socket> ConnectedAsync(Socket socket)
    {
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_path), _stop.Token).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

using System.Collections.Concurrent;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Text.Json;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Transport;

namespace Evenkeel.PrivateConnection.Store.Remote;

/// <summary>
/// One connection to a served store, shared by calls or used by one watch. It counts as made only once the server has greeted:
/// under TLS 1.3 a refused certificate shows after the client believes the handshake done.
/// </summary>
internal sealed class RemoteConnection : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly SslStream _tls;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ConcurrentDictionary<long, TaskCompletionSource<StoreAnswer>> _open = new();
    private readonly CancellationTokenSource _ended = new();
    private Task? _reading;

    private RemoteConnection(Socket socket, SslStream tls)
    {
        _socket = socket;
        _tls = tls;
    }

    public bool Broken => _ended.IsCancellationRequested;

    /// <exception cref="StoreUnavailableException">No connection.</exception>
    public static async Task<RemoteConnection> OpenAsync(
        PrivateEndpoint server, NodeCertificate certificate, Action<string> log, CancellationToken cancellation)
    {
        var socket = new Socket(server.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        SslStream? tls = null;
        try
        {
            TcpTuning.Apply(socket, StoreLimits.Unacknowledged);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(StoreLimits.Dial);
            await socket.ConnectAsync(server.ToIPEndPoint(), limit.Token).ConfigureAwait(false);
            tls = new SslStream(new NetworkStream(socket, ownsSocket: false));
            await tls.AuthenticateAsClientAsync(certificate.ClientOptions(null, reason => log($"the store at {server}: {reason}")), limit.Token).ConfigureAwait(false);
            return await Framing.ReadAsync(tls, StoreLimits.LargestMessage, limit.Token).ConfigureAwait(false) is not null
                ? new RemoteConnection(socket, tls)
                : throw new IOException("it closed the connection without a greeting (does it refuse our certificate? its log says)");
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException or InvalidDataException or OperationCanceledException)
        {
            tls?.Dispose();
            socket.Dispose();
            throw new StoreUnavailableException($"no connection to the store at {server}: {exception.Message}", exception);
        }
    }

    /// <summary>Asks and awaits the answer; sets <paramref name="sent"/> once the server may have got the call.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    public async Task<StoreAnswer> CallAsync(StoreCall call, StrongBox<bool> sent, CancellationToken cancellation)
    {
        var answered = new TaskCompletionSource<StoreAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
        _open[call.Number] = answered;
        try
        {
            var frame = Framing.Frame(JsonSerializer.SerializeToUtf8Bytes(call, StoreJson.Default.StoreCall));
            await _writing.WaitAsync(cancellation).ConfigureAwait(false);
            try
            {
                if (Broken)
                {
                    throw new IOException("the connection broke");
                }

                _reading ??= ReadAnswersAsync();
                sent.Value = true;
                // Not cancelled half-way: a frame torn in two would cost every other call on this connection.
                await _tls.WriteAsync(frame, _ended.Token).AsTask().WaitAsync(cancellation).ConfigureAwait(false);
            }
            finally
            {
                _writing.Release();
            }

            return await answered.Task.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException("the connection broke");
        }
        finally
        {
            _open.TryRemove(call.Number, out _);
        }
    }

    /// <summary>Sends one call and tells its answers until the server ends them; silence is an end too.</summary>
    /// <exception cref="StoreUnavailableException">The connection broke or fell silent.</exception>
    public async IAsyncEnumerable<StoreAnswer> StreamAsync(StoreCall call, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var frame = Framing.Frame(JsonSerializer.SerializeToUtf8Bytes(call, StoreJson.Default.StoreCall));
        await Guarded(async () => { await _tls.WriteAsync(frame, cancellation).ConfigureAwait(false); return frame; }).ConfigureAwait(false);
        while (await Guarded(() => Framing.ReadAsync(_tls, StoreLimits.LargestMessage, cancellation).WaitAsync(StoreLimits.WatchSilence, cancellation))
            .ConfigureAwait(false) is { } message)
        {
            yield return JsonSerializer.Deserialize(message, StoreJson.Default.StoreAnswer)!;
        }

        throw new StoreUnavailableException("the store closed the connection");
    }

    /// <summary>Ends it; calls under way learn that it broke.</summary>
    public void Break() => _ended.Cancel();

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync().ConfigureAwait(false);
        _socket.Dispose();
        if (_reading is not null)
        {
            await _reading.ConfigureAwait(false);
        }

        await _tls.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task<byte[]?> Guarded(Func<Task<byte[]?>> act)
    {
        try
        {
            return await act().ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidDataException or TimeoutException)
        {
            throw new StoreUnavailableException($"the connection to the store broke: {exception.Message}", exception);
        }
    }

    private async Task ReadAnswersAsync()
    {
        Exception reason = new IOException("the store closed the connection");
        try
        {
            while (await Framing.ReadAsync(_tls, StoreLimits.LargestMessage, _ended.Token).ConfigureAwait(false) is { } message)
            {
                var answer = JsonSerializer.Deserialize(message, StoreJson.Default.StoreAnswer)!;
                if (_open.TryGetValue(answer.Number, out var waiting))
                {
                    waiting.TrySetResult(answer);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException or InvalidDataException or JsonException)
        {
            reason = exception;
        }

        await _ended.CancelAsync().ConfigureAwait(false);
        foreach (var waiting in _open.Values)
        {
            waiting.TrySetException(new IOException(reason.Message, reason));
        }
    }
}

using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Transport;

namespace Evenkeel.PrivateConnection.Store.Remote;

/// <summary>Serves a store to the cluster's members over mutual TLS on a private address.</summary>
public sealed class StoreServer : IAsyncDisposable
{
    internal const int LargestMessage = 16 << 20;
    private readonly ICoordinationStore _store;
    private readonly NodeCertificate _certificate;
    private readonly Action<string> _log;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();

    /// <exception cref="SocketException">The address cannot be bound.</exception>
    public StoreServer(ICoordinationStore store, NodeCertificate certificate, PrivateEndpoint listen, Action<string> log)
    {
        _store = store;
        _certificate = certificate;
        _log = log;
        _listener = new Socket(listen.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        _listener.Bind(listen.ToIPEndPoint());
        _listener.Listen(64);
        _ = AcceptAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false));
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException exception)
            {
                _log($"a connection to the store could not be accepted: {exception.Message}");
                await Task.Delay(50).ConfigureAwait(false);
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            using var owned = socket;
            socket.NoDelay = true;
            using var tls = new SslStream(new NetworkStream(socket, ownsSocket: false));
            await tls.AuthenticateAsServerAsync(_certificate.ServerOptions(reason => _log($"the store refused {socket.RemoteEndPoint}: {reason}")), _stop.Token)
                .ConfigureAwait(false);
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            using var writing = new SemaphoreSlim(1, 1);
            try
            {
                while (await Framing.ReadAsync(tls, LargestMessage, _stop.Token).ConfigureAwait(false) is { } message)
                {
                    var call = JsonSerializer.Deserialize(message, StoreJson.Default.StoreCall) ?? throw new InvalidDataException("an empty call");
                    _ = AnswerAsync(call, tls, writing, ended);
                }
            }
            finally
            {
                await ended.CancelAsync().ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException or OperationCanceledException or ObjectDisposedException or InvalidDataException or JsonException)
        {
            // The member connects again; a refusal has been logged with its reason.
        }
    }

    private async Task AnswerAsync(StoreCall call, SslStream tls, SemaphoreSlim writing, CancellationTokenSource ended)
    {
        var answer = new StoreAnswer(call.Number);
        try
        {
            if (call.Watch is { } prefix)
            {
                await foreach (var batch in _store.WatchAsync(prefix, call.After, ended.Token).ConfigureAwait(false))
                {
                    await WriteAsync(answer with { Batch = batch }).ConfigureAwait(false);
                }

                return;
            }

            answer = call switch
            {
                { Commit: { } transaction } => answer with { Result = await _store.CommitAsync(transaction, CancellationToken.None).ConfigureAwait(false) },
                { Read: { } read } => answer with { Snapshot = await _store.ReadAsync(read, ended.Token).ConfigureAwait(false) },
                _ => answer with { Status = await _store.GetStatusAsync(ended.Token).ConfigureAwait(false) },
            };
        }
        catch (CompactedException compacted)
        {
            answer = answer with { Compacted = compacted.Revision };
        }
        catch (StoreUnavailableException unavailable)
        {
            answer = answer with { Unavailable = unavailable.Message };
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or ObjectDisposedException)
        {
            return; // the member is gone
        }

        try
        {
            await WriteAsync(answer).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The member is gone; what it asked for is done or not, and its retry will tell.
        }

        async Task WriteAsync(StoreAnswer message)
        {
            var frame = Framing.Frame(JsonSerializer.SerializeToUtf8Bytes(message, StoreJson.Default.StoreAnswer));
            await writing.WaitAsync(ended.Token).ConfigureAwait(false);
            try
            {
                await tls.WriteAsync(frame, ended.Token).ConfigureAwait(false);
            }
            finally
            {
                writing.Release();
            }
        }
    }
}

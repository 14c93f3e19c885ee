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
    private readonly ICoordinationStore _store;
    private readonly NodeCertificate _certificate;
    private readonly Action<string> _log;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _places = new(StoreLimits.Connections, StoreLimits.Connections);

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
        Endpoint = new PrivateEndpoint(listen.Address, ((System.Net.IPEndPoint)_listener.LocalEndPoint!).Port);
        _ = AcceptAsync();
    }

    /// <summary>Where it listens; names the port that the system chose when 0 was asked for.</summary>
    public PrivateEndpoint Endpoint { get; }

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
                await _places.WaitAsync(_stop.Token).ConfigureAwait(false);
                _ = ServeAsync(await AcceptOneAsync().ConfigureAwait(false));
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

    private async Task<Socket> AcceptOneAsync()
    {
        try
        {
            return await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
        }
        catch
        {
            _places.Release();
            throw;
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            using var owned = socket;
            TcpTuning.Apply(socket, StoreLimits.Unacknowledged);
            using var tls = new SslStream(new NetworkStream(socket, ownsSocket: false));
            await HandshakeAsync(socket, tls).ConfigureAwait(false);
            using var calls = new SemaphoreSlim(StoreLimits.CallsPerConnection, StoreLimits.CallsPerConnection);
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            using var writing = new SemaphoreSlim(1, 1);
            try
            {
                while (await Framing.ReadAsync(tls, StoreLimits.LargestMessage, _stop.Token).ConfigureAwait(false) is { } message)
                {
                    var call = JsonSerializer.Deserialize(message, StoreJson.Default.StoreCall) ?? throw new InvalidDataException("an empty call");
                    await calls.WaitAsync(_stop.Token).ConfigureAwait(false);
                    _ = TurnAsync(call);
                }
            }
            finally
            {
                await ended.CancelAsync().ConfigureAwait(false);
                // Calls under way use what is disposed next.
                for (var i = 0; i < StoreLimits.CallsPerConnection; i++)
                {
                    await calls.WaitAsync().ConfigureAwait(false);
                }
            }

            async Task TurnAsync(StoreCall call)
            {
                try
                {
                    await AnswerAsync(call, tls, writing, ended).ConfigureAwait(false);
                }
                finally
                {
                    calls.Release();
                }
            }
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException or OperationCanceledException or ObjectDisposedException or InvalidDataException or JsonException)
        {
            // The member connects again; a refusal has been logged with its reason.
        }
        finally
        {
            _places.Release();
        }
    }

    /// <summary>Ends with a greeting: only then does the other side know that its certificate was accepted (TLS 1.3).</summary>
    private async Task HandshakeAsync(Socket socket, SslStream tls)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(StoreLimits.Dial);
        await tls.AuthenticateAsServerAsync(_certificate.ServerOptions(reason => _log($"the store refused {socket.RemoteEndPoint}: {reason}")), limit.Token)
            .ConfigureAwait(false);
        await tls.WriteAsync(Framing.Frame(JsonSerializer.SerializeToUtf8Bytes(new StoreAnswer(0), StoreJson.Default.StoreAnswer)), limit.Token).ConfigureAwait(false);
    }

    private async Task AnswerAsync(StoreCall call, SslStream tls, SemaphoreSlim writing, CancellationTokenSource ended)
    {
        var answer = new StoreAnswer(call.Number);
        try
        {
            if (call.Watch is { } prefix)
            {
                await FollowAsync(prefix).ConfigureAwait(false);
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

        async Task FollowAsync(string under)
        {
            using var moving = CancellationTokenSource.CreateLinkedTokenSource(ended.Token);
            await using var changes = _store.WatchAsync(under, call.After, moving.Token).GetAsyncEnumerator(moving.Token);
            var next = changes.MoveNextAsync().AsTask();
            try
            {
                while (true)
                {
                    while (await Task.WhenAny(next, Task.Delay(StoreLimits.WatchBeat, ended.Token)).ConfigureAwait(false) != next && !ended.IsCancellationRequested)
                    {
                        await WriteAsync(answer).ConfigureAwait(false); // nothing new, but alive
                    }

                    if (!await next.ConfigureAwait(false))
                    {
                        return;
                    }

                    await WriteAsync(answer with { Batch = changes.Current }).ConfigureAwait(false);
                    next = changes.MoveNextAsync().AsTask();
                }
            }
            finally
            {
                // An enumerator must not be disposed while it moves.
                await moving.CancelAsync().ConfigureAwait(false);
                await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        async Task WriteAsync(StoreAnswer message)
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(message, StoreJson.Default.StoreAnswer);
            if (json.Length > StoreLimits.LargestMessage)
            {
                json = JsonSerializer.SerializeToUtf8Bytes(
                    new StoreAnswer(message.Number) { Unavailable = $"the answer has {json.Length} bytes; at most {StoreLimits.LargestMessage} are allowed" }, StoreJson.Default.StoreAnswer);
            }

            var frame = Framing.Frame(json);
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

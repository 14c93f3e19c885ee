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
/// A store that another process serves (<see cref="StoreServer"/>). Calls share one connection, which is made when needed;
/// every watch has its own. A call that failed before it was sent is Unavailable; after that, Indeterminate.
/// </summary>
public sealed class RemoteStore(PrivateEndpoint server, NodeCertificate certificate, Action<string> log) : ICoordinationStore
{
    /// <summary>Every call's own deadline.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _connecting = new(1, 1);
    private Connection? _connection;
    private long _number;

    public async Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation) =>
        (await AskAsync(new StoreCall(Next()) { Read = prefix }, cancellation).ConfigureAwait(false)).Snapshot
        ?? throw new StoreUnavailableException("the store's answer holds no snapshot");

    public async Task<StoreStatus> GetStatusAsync(CancellationToken cancellation) =>
        (await AskAsync(new StoreCall(Next()) { Status = true }, cancellation).ConfigureAwait(false)).Status
        ?? throw new StoreUnavailableException("the store's answer holds no status");

    public async Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        Connection connection;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Deadline);
        try
        {
            connection = await ConnectAsync(limit.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is StoreUnavailableException or OperationCanceledException)
        {
            return new CommitResult(CommitOutcome.Unavailable, 0, exception.Message);
        }

        try
        {
            var answer = await connection.CallAsync(new StoreCall(Next()) { Commit = transaction }, limit.Token).ConfigureAwait(false);
            return answer.Result ?? new CommitResult(CommitOutcome.Indeterminate, 0, answer.Unavailable ?? "the store's answer holds no result");
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            return new CommitResult(CommitOutcome.Indeterminate, 0, $"the store did not answer: {exception.Message}");
        }
    }

    public async IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var connection = await Connection.OpenAsync(server, certificate, log, cancellation).ConfigureAwait(false);
        await foreach (var answer in connection.StreamAsync(new StoreCall(Next()) { Watch = prefix, After = afterRevision }, cancellation).ConfigureAwait(false))
        {
            yield return answer switch
            {
                { Batch: { } batch } => batch,
                { Compacted: { } revision } => throw new CompactedException(revision),
                _ => throw new StoreUnavailableException(answer.Unavailable ?? "the watch ended"),
            };
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
        }

        _connecting.Dispose();
    }

    private long Next() => Interlocked.Increment(ref _number);

    private async Task<StoreAnswer> AskAsync(StoreCall call, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Deadline);
        try
        {
            var connection = await ConnectAsync(limit.Token).ConfigureAwait(false);
            var answer = await connection.CallAsync(call, limit.Token).ConfigureAwait(false);
            return answer.Unavailable is null ? answer : throw new StoreUnavailableException(answer.Unavailable);
        }
        catch (Exception exception) when ((exception is IOException or ObjectDisposedException or OperationCanceledException) && !cancellation.IsCancellationRequested)
        {
            throw new StoreUnavailableException($"the store at {server} did not answer: {exception.Message}", exception);
        }
    }

    private async Task<Connection> ConnectAsync(CancellationToken cancellation)
    {
        if (_connection is { Broken: false } ready)
        {
            return ready;
        }

        await _connecting.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (_connection is { Broken: false } made)
            {
                return made;
            }

            if (_connection is not null)
            {
                await _connection.DisposeAsync().ConfigureAwait(false);
                _connection = null;
            }

            return _connection = await Connection.OpenAsync(server, certificate, log, cancellation).ConfigureAwait(false);
        }
        finally
        {
            _connecting.Release();
        }
    }

    private sealed class Connection : IAsyncDisposable
    {
        private readonly Socket _socket;
        private readonly SslStream _tls;
        private readonly SemaphoreSlim _writing = new(1, 1);
        private readonly ConcurrentDictionary<long, TaskCompletionSource<StoreAnswer>> _open = new();
        private readonly CancellationTokenSource _ended = new();
        private Task? _reading;

        private Connection(Socket socket, SslStream tls)
        {
            _socket = socket;
            _tls = tls;
        }

        public bool Broken => _ended.IsCancellationRequested;

        /// <exception cref="StoreUnavailableException">No connection.</exception>
        public static async Task<Connection> OpenAsync(PrivateEndpoint server, NodeCertificate certificate, Action<string> log, CancellationToken cancellation)
        {
            var socket = new Socket(server.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                limit.CancelAfter(Deadline);
                await socket.ConnectAsync(server.ToIPEndPoint(), limit.Token).ConfigureAwait(false);
                var tls = new SslStream(new NetworkStream(socket, ownsSocket: false));
                await tls.AuthenticateAsClientAsync(certificate.ClientOptions(null, reason => log($"the store at {server}: {reason}")), limit.Token).ConfigureAwait(false);
                return new Connection(socket, tls);
            }
            catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
            {
                socket.Dispose();
                throw new StoreUnavailableException($"no connection to the store at {server}: {exception.Message}", exception);
            }
        }

        public async Task<StoreAnswer> CallAsync(StoreCall call, CancellationToken cancellation)
        {
            var answered = new TaskCompletionSource<StoreAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
            _open[call.Number] = answered;
            try
            {
                await SendAsync(call, cancellation).ConfigureAwait(false);
                return await answered.Task.WaitAsync(cancellation).ConfigureAwait(false);
            }
            finally
            {
                _open.TryRemove(call.Number, out _);
            }
        }

        public async IAsyncEnumerable<StoreAnswer> StreamAsync(StoreCall call, [EnumeratorCancellation] CancellationToken cancellation)
        {
            var frame = Framing.Frame(JsonSerializer.SerializeToUtf8Bytes(call, StoreJson.Default.StoreCall));
            await Guarded(async () => { await _tls.WriteAsync(frame, cancellation).ConfigureAwait(false); return frame; }).ConfigureAwait(false);
            while (await Guarded(() => Framing.ReadAsync(_tls, StoreServer.LargestMessage, cancellation)).ConfigureAwait(false) is { } message)
            {
                yield return JsonSerializer.Deserialize(message, StoreJson.Default.StoreAnswer)!;
            }

            throw new StoreUnavailableException("the store closed the connection");
        }

        public async ValueTask DisposeAsync()
        {
            await _ended.CancelAsync().ConfigureAwait(false);
            await _tls.DisposeAsync().ConfigureAwait(false);
            _socket.Dispose();
        }

        private static async Task<byte[]?> Guarded(Func<Task<byte[]?>> act)
        {
            try
            {
                return await act().ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidDataException)
            {
                throw new StoreUnavailableException($"the connection to the store broke: {exception.Message}", exception);
            }
        }

        private async Task SendAsync(StoreCall call, CancellationToken cancellation)
        {
            var frame = Framing.Frame(JsonSerializer.SerializeToUtf8Bytes(call, StoreJson.Default.StoreCall));
            await _writing.WaitAsync(cancellation).ConfigureAwait(false);
            try
            {
                _reading ??= ReadAsync();
                // Not cancelled half-way: a frame torn in two would cost every other call on this connection.
                await _tls.WriteAsync(frame, _ended.Token).ConfigureAwait(false);
            }
            finally
            {
                _writing.Release();
            }
        }

        private async Task ReadAsync()
        {
            Exception reason = new IOException("the store closed the connection");
            try
            {
                while (await Framing.ReadAsync(_tls, StoreServer.LargestMessage, _ended.Token).ConfigureAwait(false) is { } message)
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
}

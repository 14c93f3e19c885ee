using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.Raid.Nbd;

/// <summary>Serves exports to NBD clients on a TCP or Unix socket: fixed newstyle negotiation, see <see cref="NbdSession"/>.</summary>
public sealed class NbdServer : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly IReadOnlyList<INbdExport> _exports;
    private readonly NbdServerOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<Task> _clients = [];
    private readonly Dictionary<Socket, X509Certificate2> _known = [];
    private readonly Lock _gate = new();
    private readonly Task _accepting;

    private NbdServer(Socket listener, IReadOnlyList<INbdExport> exports, NbdServerOptions options)
    {
        (_listener, _exports, _options) = (listener, exports, options);
        _accepting = AcceptAsync();
    }

    /// <summary>Where clients reach it (the port is filled in if 0 was asked for).</summary>
    public EndPoint Endpoint => _listener.LocalEndPoint!;

    /// <summary>Begins to listen.</summary>
    /// <exception cref="SocketException">The address is taken.</exception>
    public static NbdServer Start(EndPoint endpoint, IReadOnlyList<INbdExport> exports, NbdServerOptions? options = null)
    {
        var unix = endpoint is UnixDomainSocketEndPoint;
        var listener = new Socket(endpoint.AddressFamily, SocketType.Stream, unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            listener.Bind(endpoint);
            listener.Listen(128);
            return new NbdServer(listener, exports, options ?? new NbdServerOptions());
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Breaks the connections of clients, known by their certificates, that are not wanted any more.</summary>
    public void Break(Func<X509Certificate2, bool> unwanted)
    {
        lock (_gate)
        {
            foreach (var client in _known.Where(one => unwanted(one.Value)).Select(one => one.Key)) client.Dispose();
        }
    }

    /// <summary>Stops accepting, breaks the connections, and returns when every request under way has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        await _accepting.ConfigureAwait(false);
        Task[] clients;
        lock (_gate) clients = [.. _clients];
        await Task.WhenAll(clients).ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // That client gave up while it waited, or we are out of descriptors: then trying again at once would only spin.
                await Task.Delay(20).ConfigureAwait(false);
                continue;
            }

            if (client.AddressFamily != AddressFamily.Unix) client.NoDelay = true;
            lock (_gate)
            {
                if (_clients.Count >= _options.MaximumClients)
                {
                    client.Dispose();
                    continue;
                }

                var task = Task.Factory.StartNew(() => Serve(client), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
                _clients.Add(task);
                _ = task.ContinueWith(done => { lock (_gate) _clients.Remove(done); }, TaskScheduler.Default);
            }
        }
    }

    // On a thread of its own, which every read blocks.
    private void Serve(Socket client)
    {
        try
        {
            using var stream = new ConnectionStream(client);
            using var breaking = _stop.Token.Register(client.Dispose);
            var handshake = new NbdHandshake(_exports, _options.TlsOf is { } of ? _options with { Tls = of(client.RemoteEndPoint) } : _options);
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            deadline.CancelAfter(_options.HandshakeDeadline);
            NbdAgreement? agreed;
            using (deadline.Token.Register(client.Dispose)) agreed = handshake.NegotiateAsync(stream, deadline.Token).GetAwaiter().GetResult();
            if (agreed is null) return;
            using var secured = agreed.Stream;
            if ((secured as SslStream)?.RemoteCertificate is { } shown)
            {
                // A copy: the stream's own ends with it.
                lock (_gate) _known[client] = X509CertificateLoader.LoadCertificate(shown.GetRawCertData());
            }

            using var session = new NbdSession(agreed, _options);
            session.Run(_stop.Token);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException
            or System.Security.Authentication.AuthenticationException)
        {
            // A client that breaks off, or talks nonsense, costs its own connection only.
        }
        finally
        {
            lock (_gate) _known.Remove(client);
        }
    }
}

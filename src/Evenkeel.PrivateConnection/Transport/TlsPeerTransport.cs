using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.PrivateConnection.Transport;

/// <summary>
/// Beats over mutual TLS 1.3: to every peer one connection a link for what we send, and from every peer one for what it sends.
/// The receiver acknowledges with a byte each message that asks for it, so that a sender knows a connection through which nothing arrives any
/// more long before TCP does, and uses a healed network at once instead of after TCP's back-off. The byte says which version of messages
/// the receiver reads. Beats are most of what an idle agent does: one thread writes all of them and one a connection reads, blocked in
/// the kernel, as each hand-over to the thread pool would wake three threads more for every beat.
/// </summary>
public sealed class TlsPeerTransport : IPeerTransport
{
    /// <summary>Largest message, in bytes.</summary>
    public const int LargestMessage = 256 * 1024;

    // Strangers cannot keep more than this busy; members wait in the listener's queue.
    private const int MostHandshakes = 64;
    // Each waits at most a beat, and a writer never for a peer.
    private const int MostSenders = 4096;
    private static readonly TimeSpan Unacknowledged = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan HandshakeLimit = TimeSpan.FromSeconds(2);
    private readonly NodeCertificate _certificate;
    private readonly IReadOnlyList<PrivateEndpoint> _own;
    private readonly Action<string> _log;
    private readonly byte _speaks;
    private readonly CancellationTokenSource _stop = new();
    private int _disposed;
    private readonly ConcurrentDictionary<NodeName, PeerSender[]> _senders = new();
    private readonly ConcurrentDictionary<(NodeName Peer, IPAddress Link), Socket> _accepted = new();
    private readonly SemaphoreSlim _handshakes = new(MostHandshakes, MostHandshakes);
    private readonly List<Socket> _listeners = [];
    private readonly WaitingQueue<PeerSender> _sending = new(MostSenders);

    /// <param name="certificate">Who we are and whom we believe.</param>
    /// <param name="own">Where to listen: this node's private addresses, one a link.</param>
    /// <param name="log">Told of refused connections, and of peers whose version is more than one away.</param>
    /// <param name="speaks">The newest version of messages that this program reads.</param>
    public TlsPeerTransport(NodeCertificate certificate, IReadOnlyList<PrivateEndpoint> own, Action<string> log, byte speaks = BeatCodec.Version)
    {
        _speaks = speaks;
        _certificate = certificate;
        _own = own;
        _log = log;
        Refused = (from, reason) => log($"refused {from} on the private connection: {reason}");
        _certificate.Changed += Redial;
    }

    /// <summary>Told of who was turned away, by address, and why; may be called often.</summary>
    public Action<string?, string> Refused { get; init; }

    public event Action<NodeName, ReadOnlyMemory<byte>>? Received;

    /// <exception cref="SocketException">An address is not this node's, or the port is taken.</exception>
    public void Start()
    {
        new Thread(SendAll) { IsBackground = true, Name = "beats, sending" }.Start();
        foreach (var endpoint in _own)
        {
            var listener = new Socket(endpoint.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(endpoint.ToIPEndPoint());
            listener.Listen(64);
            _listeners.Add(listener);
            _ = AcceptAsync(listener);
        }
    }

    /// <summary>Whom we send to; peers no longer named are let go.</summary>
    public void SetPeers(IReadOnlyDictionary<NodeName, IReadOnlyList<PrivateEndpoint>> peers)
    {
        foreach (var (node, senders) in _senders)
        {
            if (!peers.TryGetValue(node, out var endpoints) || !endpoints.SequenceEqual(senders.Select(sender => sender.Remote)))
            {
                _senders.TryRemove(node, out _);
                foreach (var sender in senders)
                {
                    sender.Dispose();
                }
            }
        }

        foreach (var (node, endpoints) in peers)
        {
            _senders.GetOrAdd(node, _ =>
                [.. endpoints.Select((remote, link) => new PeerSender(node, _own[Math.Min(link, _own.Count - 1)], remote, _certificate, _speaks, _log))]);
        }
    }

    public byte? VersionOf(NodeName peer) => _senders.TryGetValue(peer, out var senders) ? senders.Max(sender => sender.Version) : null;

    public void Send(NodeName to, ReadOnlyMemory<byte> message)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(message.Length, LargestMessage, nameof(message));
        if (_senders.TryGetValue(to, out var senders))
        {
            foreach (var sender in senders)
            {
                sender.Offer(message);
                _sending.TryAdd(sender);
            }
        }
    }

    private void SendAll()
    {
        foreach (var sender in _sending.TakeAll())
        {
            sender.Send();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _certificate.Changed -= Redial;
        _sending.Complete();
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (var listener in _listeners)
        {
            listener.Dispose();
        }

        SetPeers(new Dictionary<NodeName, IReadOnlyList<PrivateEndpoint>>());
        _stop.Dispose();
    }

    private void Redial()
    {
        foreach (var sender in _senders.Values.SelectMany(senders => senders))
        {
            sender.Redial();
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket? socket = null;
            try
            {
                await _handshakes.WaitAsync(_stop.Token).ConfigureAwait(false);
                var accepted = socket = await listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                new Thread(() => Receive(accepted)) { IsBackground = true, Name = "beats, receiving" }.Start();
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (Exception exception) when (exception is SocketException or OutOfMemoryException)
            {
                // Out of descriptors or threads, or the connection was gone before we took it: the listener itself is whole.
                socket?.Dispose();
                _handshakes.Release();
                _log($"a private connection could not be accepted: {exception.Message}");
                await Task.Delay(50).ConfigureAwait(false);
            }
        }
    }

    private SslStream Handshake(Socket socket)
    {
        SslStream? tls = null;
        try
        {
            using var limit = new Timer(_ => socket.Dispose(), null, HandshakeLimit, Timeout.InfiniteTimeSpan);
            TcpTuning.Apply(socket, Unacknowledged);
            var from = socket.RemoteEndPoint?.ToString();
            tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
            tls.AuthenticateAsServer(_certificate.ServerOptions(reason => Refused(from, reason)));
            return tls;
        }
        catch
        {
            // Strangers may fail here as often as they like: nothing of that waits for the collector.
            tls?.Dispose();
            throw;
        }
        finally
        {
            _handshakes.Release();
        }
    }

    private void Receive(Socket socket)
    {
        try
        {
            using var owned = socket;
            using var tls = Handshake(socket);
            using var ending = _stop.Token.Register(socket.Dispose);
            var peer = NodeCertificate.NameOf(tls.RemoteCertificate!);
            var serial = tls.RemoteCertificate!.GetSerialNumberString();
            _accepted.AddOrUpdate((peer, ((IPEndPoint)socket.RemoteEndPoint!).Address), socket, (_, older) =>
            {
                // One a peer and link: it dialled anew because the older one is dead, which TCP here may never learn.
                older.Dispose();
                return socket;
            });
            byte[] acknowledgement = [_speaks];
            while (Framing.Read(tls, LargestMessage + 1) is { } message)
            {
                // Revoked since it connected.
                if (_certificate.Revoked.NodeOf(serial) is not null)
                {
                    return;
                }

                if (message is [(byte)MessageKind.Beat or (byte)MessageKind.UnaskedBeat, ..])
                {
                    Received?.Invoke(peer, message.AsMemory(1));
                }

                if (message is not [(byte)MessageKind.UnaskedBeat, ..])
                {
                    tls.Write(acknowledgement);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException or OperationCanceledException or ObjectDisposedException or InvalidDataException)
        {
            // The peer dials again; a refusal has been logged with its reason.
        }
#pragma warning disable CA1031 // A message that the agent cannot digest costs its connection, never the agent.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _log($"a private connection was closed: {exception}");
        }
    }
}

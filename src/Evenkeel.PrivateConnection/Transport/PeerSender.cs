using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.PrivateConnection.Transport;

/// <summary>
/// Sends to one peer over one link. Holds at most one message: a newer one replaces one that could not leave yet. Dials again
/// when the connection breaks, or when an acknowledgement that was asked for has not come for <see cref="Silence"/>.
/// </summary>
internal sealed class PeerSender : IDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(500);
    /// <summary>How often an acknowledgement is asked for: for each message it would double the packets.</summary>
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan DialLimit = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(400);

    private readonly NodeName _peer;
    private readonly PrivateEndpoint _local;
    private readonly NodeCertificate _certificate;
    private readonly Action<string> _log;
    private readonly CancellationTokenSource _stop = new();
    // What a program acknowledges with that was made before versions were told.
    private const byte Untold = 0, VersionOfUntold = 3;

    private readonly byte _speaks;
    private byte[]? _next;
    private volatile Link? _link;
    // The connection that is to take the present one's place, once it stands.
    private Task<Link>? _successor;
    private string? _lastComplaint;
    private int _version = -1;

    /// <param name="speaks">The newest version of messages that this program reads.</param>
    public PeerSender(NodeName peer, PrivateEndpoint local, PrivateEndpoint remote, NodeCertificate certificate, byte speaks, Action<string> log)
    {
        _speaks = speaks;
        _peer = peer;
        _local = local;
        Remote = remote;
        _certificate = certificate;
        _log = log;
        _ = RunAsync(_stop.Token);
    }

    public PrivateEndpoint Remote { get; }

    /// <summary>The newest version that the peer says it reads; null while this connection has not told.</summary>
    public byte? Version => Volatile.Read(ref _version) is >= 0 and var told ? (byte)told : null;

    /// <summary>The message leaves with the next <see cref="Send"/>, unless a newer one takes its place.</summary>
    public void Offer(ReadOnlyMemory<byte> message) => Volatile.Write(ref _next, Framing.Frame(MessageKind.UnaskedBeat, message.Span));

    /// <summary>Writes what was offered last, if the connection stands and takes it; waits for nothing.</summary>
    public void Send()
    {
        if (_link is { } link)
        {
            // No timer of its own: who has nothing to send does not need to know.
            if (link.SilentFor > Silence)
            {
                link.End();
            }
            else
            {
                _ = WriteAsync(link);
            }
        }
    }

    /// <summary>
    /// Moves to a new connection, made with the certificate that is ours now, without a gap: the present one is used until the other stands
    /// (the receiver then drops the older of two).
    /// </summary>
    public void Redial()
    {
        var dialled = DialAsync(_stop.Token);
        LetGo(Interlocked.Exchange(ref _successor, dialled));
        _ = dialled.ContinueWith(_ =>
        {
            if (Volatile.Read(ref _successor) == dialled)
            {
                _link?.End();
            }
        }, CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
    }

    private static void LetGo(Task<Link>? unused) =>
        _ = unused?.ContinueWith(dialled => dialled.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);

    public void Dispose() => _stop.Cancel();

    private async Task RunAsync(CancellationToken stop)
    {
        var pause = FirstPause;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var link = await (Interlocked.Exchange(ref _successor, null) ?? DialAsync(stop)).ConfigureAwait(false);
                _link = link;
                Send();
                // Only a peer that has taken a message surely takes ours (under TLS 1.3 a refused certificate shows after the handshake):
                // from then on dialling may be quick again.
                await link.ReadAsync(acknowledgement => { Learn(acknowledgement); pause = FirstPause; _lastComplaint = null; }).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // Dial again below.
            }

            _link = null;
            if (Volatile.Read(ref _successor) is { IsCompletedSuccessfully: true })
            {
                continue;
            }

            // Whoever answers next may be another version's.
            Volatile.Write(ref _version, -1);
            await Task.Delay(pause + TimeSpan.FromMilliseconds(Random.Shared.Next(20)), stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }

        LetGo(Interlocked.Exchange(ref _successor, null));
    }

    private async Task<Link> DialAsync(CancellationToken stop)
    {
        var socket = new Socket(Remote.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            TcpTuning.Apply(socket, Silence);
            // From this link's own address: the reply comes back over the same link.
            socket.Bind(new System.Net.IPEndPoint(_local.Address, 0));
            using var dial = CancellationTokenSource.CreateLinkedTokenSource(stop);
            dial.CancelAfter(DialLimit);
            await socket.ConnectAsync(Remote.ToIPEndPoint(), dial.Token).ConfigureAwait(false);
            var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
            await tls.AuthenticateAsClientAsync(_certificate.ClientOptions(_peer, Complain), dial.Token).ConfigureAwait(false);
            return new Link(tls, stop);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private void Learn(byte acknowledgement)
    {
        var version = acknowledgement == Untold ? VersionOfUntold : acknowledgement;
        if (Interlocked.Exchange(ref _version, version) != version && (version > _speaks + 1 || _speaks - version > BeatCodec.Version - BeatCodec.Oldest))
        {
            _log($"{_peer} speaks version {version} of the nodes' messages, this program version {_speaks}: they do not understand each other. "
                + $"Upgrade {(version < _speaks ? _peer : "this node")}, one release after the other");
        }
    }

    private void Complain(string reason)
    {
        if (reason != _lastComplaint)
        {
            _log($"{Remote} is not {_peer}: {reason}");
            _lastComplaint = reason;
        }
    }

    // Nearly always complete when it returns: the kernel has room for a message. While it has none, the one write that waits for it sends
    // what is newest then.
    private async Task WriteAsync(Link link)
    {
        while (Volatile.Read(ref _next) is not null && link.TryBeginWriting())
        {
            try
            {
                if (Interlocked.Exchange(ref _next, null) is { } frame)
                {
                    await link.WriteAsync(frame).ConfigureAwait(false);
                }
            }
            catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
            {
                link.End();
                return;
            }
            finally
            {
                link.EndWriting();
            }
        }
    }

    /// <summary>One connection.</summary>
    private sealed class Link(SslStream tls, CancellationToken stop) : IDisposable
    {
        private readonly CancellationTokenSource _ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        private long _unacknowledgedSince = long.MaxValue, _askedAt;
        private int _writing;

        /// <summary>For how long an acknowledgement that was asked for has not come; also while a message has not left yet.</summary>
        public TimeSpan SilentFor => Interlocked.Read(ref _unacknowledgedSince) is < long.MaxValue and var since
            ? TimeSpan.FromMilliseconds(Environment.TickCount64 - since) : TimeSpan.Zero;

        public bool TryBeginWriting() => Interlocked.Exchange(ref _writing, 1) == 0;

        public void EndWriting() => Volatile.Write(ref _writing, 0);

        public async ValueTask WriteAsync(byte[] frame)
        {
            var now = Environment.TickCount64;
            if (now - _askedAt >= AskEvery.TotalMilliseconds)
            {
                _askedAt = now;
                Framing.SetKind(frame, MessageKind.Beat);
                Interlocked.CompareExchange(ref _unacknowledgedSince, now, long.MaxValue);
            }

            await tls.WriteAsync(frame, _ended.Token).ConfigureAwait(false);
        }

        /// <summary>Reads acknowledgements until the connection ends, or is ended.</summary>
        public async Task ReadAsync(Action<byte> acknowledged)
        {
            var buffer = new byte[64];
            while (await tls.ReadAsync(buffer, _ended.Token).ConfigureAwait(false) is > 0 and var count)
            {
                Interlocked.Exchange(ref _unacknowledgedSince, long.MaxValue);
                acknowledged(buffer[count - 1]);
            }
        }

        // Elsewhere: what follows from it must not keep the sender of beats.
        public void End()
        {
            try
            {
                _ = _ended.CancelAsync();
            }
            catch (ObjectDisposedException)
            {
                // It has ended by itself.
            }
        }

        public void Dispose()
        {
            tls.Dispose();
            _ended.Dispose();
        }
    }
}

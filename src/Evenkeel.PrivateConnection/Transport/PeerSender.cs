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
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan WatchPeriod = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan DialLimit = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(400);

    private readonly NodeName _peer;
    private readonly PrivateEndpoint _local;
    private readonly NodeCertificate _certificate;
    private readonly Action<string> _log;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _offered = new(0, 1);
    // What a program acknowledges with that was made before versions were told.
    private const byte Untold = 0, VersionOfUntold = 3;

    private readonly byte _speaks;
    private byte[]? _next;
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

    public void Offer(ReadOnlyMemory<byte> message)
    {
        Volatile.Write(ref _next, Framing.Frame(MessageKind.UnaskedBeat, message.Span));
        Signal();
    }

    private void Signal()
    {
        try
        {
            if (_offered.CurrentCount == 0)
            {
                _offered.Release();
            }
        }
        catch (SemaphoreFullException)
        {
            // Two offers met: one signal is enough.
        }
    }

    /// <summary>
    /// Moves to a new connection, made with the certificate that is ours now, without a gap: the present one is used until the other stands
    /// (the receiver then drops the older of two).
    /// </summary>
    public void Redial() => LetGo(Interlocked.Exchange(ref _successor, DialAsync(_stop.Token)));

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
                await SendAsync(link.Tls, () => { pause = FirstPause; _lastComplaint = null; }, stop).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // Dial again below.
            }

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
            return new Link(socket, tls);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed record Link(Socket Socket, SslStream Tls) : IDisposable
    {
        public void Dispose()
        {
            Tls.Dispose();
            Socket.Dispose();
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

    /// <summary>Returns when another connection is to be used; by an exception when this one broke or fell silent.</summary>
    /// <param name="acknowledged">Called when the peer has taken a message: only then is it surely ours (under TLS 1.3 a refused
    /// certificate shows after the handshake), and dialling may be quick again.</param>
    private async Task SendAsync(SslStream tls, Action acknowledged, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        long unacknowledgedSince = long.MaxValue, askedAt = 0;
        // One timer a connection: a time limit a message would keep the timers busier than the messages.
        using var watch = new Timer(_ => EndWhenSilent(), null, WatchPeriod, WatchPeriod);
        var reading = ReadAcknowledgementsAsync();
        try
        {
            while (true)
            {
                await _offered.WaitAsync(ended.Token).ConfigureAwait(false);
                if (Interlocked.Exchange(ref _next, null) is not { } frame)
                {
                    continue;
                }

                var now = Environment.TickCount64;
                if (now - askedAt >= AskEvery.TotalMilliseconds)
                {
                    askedAt = now;
                    Framing.SetKind(frame, MessageKind.Beat);
                    Interlocked.CompareExchange(ref unacknowledgedSince, now, long.MaxValue);
                }

                if (Volatile.Read(ref _successor) is { IsCompletedSuccessfully: true })
                {
                    Interlocked.CompareExchange(ref _next, frame, null);
                    Signal();
                    return;
                }

                await tls.WriteAsync(frame, ended.Token).ConfigureAwait(false);
            }
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
        }

        void EndWhenSilent()
        {
            try
            {
                // Also when a message has not left yet: its write waits, and ends with the connection.
                if (Environment.TickCount64 - Interlocked.Read(ref unacknowledgedSince) > Silence.TotalMilliseconds)
                {
                    ended.Cancel();
                }
            }
            catch (ObjectDisposedException)
            {
                // The connection ended meanwhile.
            }
        }

        async Task ReadAcknowledgementsAsync()
        {
            try
            {
                var buffer = new byte[64];
                while (await tls.ReadAsync(buffer, ended.Token).ConfigureAwait(false) is > 0 and var count)
                {
                    Learn(buffer[count - 1]);
                    Interlocked.Exchange(ref unacknowledgedSince, long.MaxValue);
                    acknowledged();
                }
            }
            catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
            {
                // Told by the cancellation below.
            }

            await ended.CancelAsync().ConfigureAwait(false);
        }
    }
}

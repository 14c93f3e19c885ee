using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.PrivateConnection.Transport;

/// <summary>
/// Sends to one peer over one link, on the thread that offers: a beat is small, and handing it to another thread costs more than
/// sending it. Holds at most one message: a newer one replaces one that could not leave yet. Dials again
/// when the connection breaks, or when an acknowledgement that was asked for has not come for <see cref="Silence"/>.
/// </summary>
internal sealed class PeerSender : IDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(500);
    /// <summary>How often an acknowledgement is asked for: for each message it would double the packets.</summary>
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(100);
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
    private Link? _link;
    // The connection that is to take the present one's place, once it stands.
    private Task<Dialled>? _successor;
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

    /// <summary>Returns at once; whoever offers again may do so from any thread.</summary>
    public void Offer(ReadOnlyMemory<byte> message)
    {
        Volatile.Write(ref _next, Framing.Frame(MessageKind.UnaskedBeat, message.Span));
        Volatile.Read(ref _link)?.Pump();
    }

    /// <summary>
    /// Moves to a new connection, made with the certificate that is ours now, without a gap: the present one is used until the other stands
    /// (the receiver then drops the older of two).
    /// </summary>
    public void Redial() => LetGo(Interlocked.Exchange(ref _successor, SucceedAsync()));

    private async Task<Dialled> SucceedAsync()
    {
        var dialled = await DialAsync(_stop.Token).ConfigureAwait(false);
        Volatile.Read(ref _link)?.Cancel();
        return dialled;
    }

    private static void LetGo(Task<Dialled>? unused) =>
        _ = unused?.ContinueWith(dialled => dialled.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);

    public void Dispose() => _stop.Cancel();

    private async Task RunAsync(CancellationToken stop)
    {
        var pause = FirstPause;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var dialled = await (Interlocked.Exchange(ref _successor, null) ?? DialAsync(stop)).ConfigureAwait(false);
                await SendAsync(dialled.Tls, () => { pause = FirstPause; _lastComplaint = null; }, stop).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // Dial again below.
            }

            // It stands, or is about to.
            if (Volatile.Read(ref _successor) is { IsFaulted: false, IsCanceled: false })
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

    private async Task<Dialled> DialAsync(CancellationToken stop)
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
            return new Dialled(socket, tls);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed record Dialled(Socket Socket, SslStream Tls) : IDisposable
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
        // Only the present connection's reader calls this. Who sees the version has been told what is wrong with it.
        if (Volatile.Read(ref _version) == version)
        {
            return;
        }

        if (Math.Abs(version - _speaks) > 1)
        {
            _log($"{_peer} speaks version {version} of the nodes' messages, this program version {_speaks}: they do not understand each other. "
                + $"Upgrade {(version < _speaks ? _peer : "this node")}, one release after the other");
        }

        Volatile.Write(ref _version, version);
    }

    private void Complain(string reason)
    {
        if (reason != _lastComplaint)
        {
            _log($"{Remote} is not {_peer}: {reason}");
            _lastComplaint = reason;
        }
    }

    /// <summary>Returns when the connection broke, fell silent, or has a successor.</summary>
    /// <param name="acknowledged">Called when the peer has taken a message: only then is it surely ours (under TLS 1.3 a refused
    /// certificate shows after the handshake), and dialling may be quick again.</param>
    private async Task SendAsync(SslStream tls, Action acknowledged, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var link = new Link(this, tls, ended);
        Volatile.Write(ref _link, link);
        link.Pump();
        try
        {
            var buffer = new byte[64];
            while (await tls.ReadAsync(buffer, ended.Token).ConfigureAwait(false) is > 0 and var count)
            {
                Learn(buffer[count - 1]);
                link.Acknowledged();
                acknowledged();
            }
        }
        finally
        {
            Volatile.Write(ref _link, null);
            await link.EndAsync().ConfigureAwait(false);
        }
    }

    /// <summary>One connection: takes what is offered, one message at a time, and watches for silence.</summary>
    private sealed class Link(PeerSender sender, SslStream tls, CancellationTokenSource ended) : IDisposable
    {
        private readonly SemaphoreSlim _writing = new(1, 1);
        private long _unacknowledgedSince = long.MaxValue, _askedAt;

        /// <summary>After <see cref="EndAsync"/>: who comes late finds it cancelled.</summary>
        public void Dispose() => _writing.Dispose();

        public void Acknowledged() => Interlocked.Exchange(ref _unacknowledgedSince, long.MaxValue);

        public void Pump()
        {
            // Also when a message has not left yet: its write waits, and ends with the connection.
            if (Environment.TickCount64 - Interlocked.Read(ref _unacknowledgedSince) > Silence.TotalMilliseconds)
            {
                ThreadPool.QueueUserWorkItem(static link => link.Cancel(), this, preferLocal: false);
            }
            else
            {
                _ = PumpAsync();
            }
        }

        /// <summary>Nothing writes any more when it returns.</summary>
        public async Task EndAsync()
        {
            Cancel();
            // Never given back: what is offered late finds it taken.
            await _writing.WaitAsync().ConfigureAwait(false);
        }

        private async Task PumpAsync()
        {
            // Whoever writes looks again afterwards.
            while (Volatile.Read(ref sender._next) is not null && !ended.IsCancellationRequested && _writing.Wait(0))
            {
                try
                {
                    while (Interlocked.Exchange(ref sender._next, null) is { } frame)
                    {
                        Ask(frame);
                        await tls.WriteAsync(frame, ended.Token).ConfigureAwait(false);
                    }
                }
                catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
                {
                    Cancel();
                }
                finally
                {
                    _writing.Release();
                }
            }
        }

        private void Ask(byte[] frame)
        {
            var now = Environment.TickCount64;
            if (now - _askedAt < AskEvery.TotalMilliseconds)
            {
                return;
            }

            _askedAt = now;
            Framing.SetKind(frame, MessageKind.Beat);
            Interlocked.CompareExchange(ref _unacknowledgedSince, now, long.MaxValue);
        }

        public void Cancel()
        {
            try
            {
                ended.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The connection ended meanwhile.
            }
        }
    }
}

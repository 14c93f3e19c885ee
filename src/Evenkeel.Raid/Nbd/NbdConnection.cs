using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>One connection to one export: requests are pipelined and matched by cookie. Once it fails it stays failed.</summary>
internal sealed class NbdConnection : IAsyncDisposable
{
    private readonly Stream _stream;
    // Never disposed: whoever waits for it then would wait for ever.
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly Lock _gate = new();
    private const int TogetherBytes = 60 * 1024;
    private readonly Dictionary<ulong, NbdPending> _pending = [];
    private readonly ConcurrentQueue<NbdPending> _idle = [];
    private readonly NbdInput _input;
    private readonly TimeSpan _deadline;
    private readonly Timer _watch;
    private readonly Task _receiving;
    private IOException? _failure;
    private ulong _cookie;

    private NbdConnection(Stream stream, long length, NbdTransmission flags, TimeSpan deadline)
    {
        (_stream, Length, Flags, _deadline, _input) = (stream, length, flags, deadline, new NbdInput(stream));
        _receiving = Task.Factory.StartNew(Receive, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        // One clock for all requests instead of one each: a deadline is kept to an eighth of itself.
        var every = deadline > TimeSpan.Zero ? TimeSpan.FromMilliseconds(Math.Max(1, deadline.TotalMilliseconds / 8)) : Timeout.InfiniteTimeSpan;
        _watch = new Timer(FailWhatIsOverdue, null, every, every);
    }

    public long Length { get; }

    public NbdTransmission Flags { get; }

    public bool HasFailed
    {
        get
        {
            lock (_gate) return _failure is not null;
        }
    }

    /// <exception cref="IOException">The server cannot be reached, refuses, or does not speak the protocol.</exception>
    public static Task<NbdConnection> OpenAsync(NbdAddress address, NbdClientOptions options, CancellationToken stop) => Task.Factory.StartNew(
        () => NegotiateAsync(address, options, stop), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();

    // On a thread of its own, which connecting and every read block.
    private static async Task<NbdConnection> NegotiateAsync(NbdAddress address, NbdClientOptions options, CancellationToken stop)
    {
        var socket = address.Endpoint is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Stream? stream = null;
        try
        {
            // Never asked for anything asynchronous, the socket stays out of the platform's poller.
            using var breaking = stop.Register(socket.Dispose);
            socket.Connect(address.Endpoint);
            stream = new ConnectionStream(socket);
            var greeting = new byte[18];
            await stream.ReadExactlyAsync(greeting, stop).ConfigureAwait(false);
            if (BinaryPrimitives.ReadUInt64BigEndian(greeting) != NbdProtocol.Magic || BinaryPrimitives.ReadUInt64BigEndian(greeting.AsSpan(8)) != NbdProtocol.OptionMagic)
                throw new IOException("This is no NBD server with newstyle negotiation.");
            var flags = BinaryPrimitives.ReadUInt16BigEndian(greeting.AsSpan(16)) & 3;
            await stream.WriteAsync(new byte[] { 0, 0, 0, (byte)flags }, stop).ConfigureAwait(false);
            if (address.Secure)
            {
                await NbdOptions.SendAsync(stream, NbdOption.StartTls, [], stop).ConfigureAwait(false);
                await NbdOptions.ExpectAckAsync(stream, NbdOption.StartTls, _ => { }, stop).ConfigureAwait(false);
                var secured = new SslStream(stream);
                stream = secured;
                await secured.AuthenticateAsClientAsync(TlsFor(address, options.Tls), stop).ConfigureAwait(false);
            }

            var name = Encoding.UTF8.GetBytes(address.Export);
            var go = new byte[4 + name.Length + 2];
            BinaryPrimitives.WriteInt32BigEndian(go, name.Length);
            name.CopyTo(go, 4);
            await NbdOptions.SendAsync(stream, NbdOption.Go, go, stop).ConfigureAwait(false);
            (long Length, NbdTransmission Flags) export = default;
            await NbdOptions.ExpectAckAsync(stream, NbdOption.Go, info =>
            {
                if (info.Length >= 12 && BinaryPrimitives.ReadUInt16BigEndian(info.AsSpan()) == 0)
                    export = (BinaryPrimitives.ReadInt64BigEndian(info.AsSpan(2)), (NbdTransmission)BinaryPrimitives.ReadUInt16BigEndian(info.AsSpan(10)));
            }, stop).ConfigureAwait(false);
            if (export.Length <= 0) throw new IOException("The server did not say how large the export is.");
            return new NbdConnection(stream, export.Length, export.Flags, options.Deadline);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException or System.Security.Authentication.AuthenticationException or IOException)
        {
            if (stream is not null) await stream.DisposeAsync().ConfigureAwait(false);
            socket.Dispose();
            if (stop.IsCancellationRequested) throw new IOException("The server did not answer in time.", e);
            throw e as IOException ?? new IOException(e.Message, e);
        }
    }

    // One set of options serves many addresses: the name to check is the address's, unless the caller wants another.
    private static SslClientAuthenticationOptions TlsFor(NbdAddress address, SslClientAuthenticationOptions? given) => given is { TargetHost.Length: > 0 }
        ? given
        : new SslClientAuthenticationOptions
        {
            TargetHost = address.Host,
            ClientCertificates = given?.ClientCertificates,
            ClientCertificateContext = given?.ClientCertificateContext,
            CertificateChainPolicy = given?.CertificateChainPolicy,
            RemoteCertificateValidationCallback = given?.RemoteCertificateValidationCallback,
        };

    /// <summary>Sends a request and waits for its reply. At its deadline the connection is given up: its state is unknown.</summary>
    public ValueTask RequestAsync(NbdCommand command, long offset, int length, ReadOnlyMemory<byte> payload, Memory<byte> target)
    {
        if (!_idle.TryDequeue(out var pending)) pending = new NbdPending(_idle.Enqueue);
        var reply = pending.Begin(target, Environment.TickCount64 + (long)_deadline.TotalMilliseconds);
        ulong cookie;
        lock (_gate)
        {
            if (_failure is not null) throw new IOException(_failure.Message, _failure);
            cookie = ++_cookie;
            _pending[cookie] = pending;
        }

        var sent = SendAsync(command, offset, length, payload, cookie);
        return sent.IsCompletedSuccessfully ? reply : BothAsync(sent, reply);
    }

    public async ValueTask DisposeAsync()
    {
        Fail(new IOException("The connection was closed."));
        await _receiving.ConfigureAwait(false);
        await _watch.DisposeAsync().ConfigureAwait(false);
        _input.Dispose();
    }

    private static async ValueTask BothAsync(ValueTask sent, ValueTask reply)
    {
        await sent.ConfigureAwait(false);
        await reply.ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(NbdCommand command, long offset, int length, ReadOnlyMemory<byte> payload, ulong cookie)
    {
        // A small payload travels with its header: one packet.
        var together = payload.Length <= TogetherBytes ? payload.Length : 0;
        using var buffer = IoBuffer.Rent(NbdProtocol.RequestBytes + together);
        var header = buffer.Memory[..(NbdProtocol.RequestBytes + together)];
        Write(header.Span, command, offset, length, cookie);
        payload[..together].CopyTo(header[NbdProtocol.RequestBytes..]);
        try
        {
            await _sending.WaitAsync(CancellationToken.None).ConfigureAwait(false);
            try
            {
                await _stream.WriteAsync(header, CancellationToken.None).ConfigureAwait(false);
                if (together < payload.Length) await _stream.WriteAsync(payload, CancellationToken.None).ConfigureAwait(false);
            }
            finally
            {
                _sending.Release();
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            Fail(e as IOException ?? new IOException("The connection was closed.", e));
        }
    }

    private static void Write(Span<byte> header, NbdCommand command, long offset, int length, ulong cookie)
    {
        BinaryPrimitives.WriteUInt32BigEndian(header, NbdProtocol.RequestMagic);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[6..], (ushort)command);
        BinaryPrimitives.WriteUInt64BigEndian(header[8..], cookie);
        BinaryPrimitives.WriteInt64BigEndian(header[16..], offset);
        BinaryPrimitives.WriteInt32BigEndian(header[24..], length);
    }

    // Disposing the stream ends all reads and writes under way; only then may callers have their buffers back.
    private void Fail(IOException error)
    {
        lock (_gate)
        {
            if (_failure is not null) return;
            _failure = error;
        }

        _stream.Dispose();
    }

    private void FailWhatIsOverdue(object? state)
    {
        var now = Environment.TickCount64;
        lock (_gate)
        {
            var overdue = false;
            foreach (var pending in _pending.Values) overdue |= pending.Due <= now;
            if (!overdue) return;
        }

        Fail(new IOException("The server did not answer in time."));
    }

    // On a thread of its own, which every read blocks.
    private void Receive()
    {
        try
        {
            while (true)
            {
                if (!_input.Has(16)) _input.Fill(16);
                var (error, pending) = TakeReply();
                try
                {
                    if (error == 0 && pending.Target.Length > 0) _input.Read(pending.Target.Span);
                }
                catch (Exception e)
                {
                    pending.Complete(e as IOException ?? new IOException(e.Message, e));
                    throw;
                }

                pending.Complete(error == 0 ? null : new IOException($"The server reports error {error}."));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            Fail(e as IOException ?? new IOException("The connection was closed.", e));
        }

        NbdPending[] left;
        lock (_gate)
        {
            left = [.. _pending.Values];
            _pending.Clear();
        }

        foreach (var pending in left) pending.Complete(new IOException(_failure!.Message, _failure));
    }

    private (uint Error, NbdPending Pending) TakeReply()
    {
        var reply = _input.Take(16);
        if (BinaryPrimitives.ReadUInt32BigEndian(reply) != NbdProtocol.SimpleReplyMagic) throw new IOException("The server broke the protocol.");
        lock (_gate)
        {
            if (!_pending.Remove(BinaryPrimitives.ReadUInt64BigEndian(reply[8..]), out var pending)) throw new IOException("A reply to nothing.");
            return (BinaryPrimitives.ReadUInt32BigEndian(reply[4..]), pending);
        }
    }
}

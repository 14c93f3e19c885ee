using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Evenkeel.Raid.Nbd;

/// <summary>One connection to one export: requests are pipelined and matched by cookie. Once it fails it stays failed.</summary>
internal sealed class NbdConnection : IAsyncDisposable
{
    private readonly Stream _stream;
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, Pending> _pending = [];
    private readonly Task _receiving;
    private IOException? _failure;
    private ulong _cookie;

    private sealed record Pending(TaskCompletionSource Done, Memory<byte> Target);

    private NbdConnection(Stream stream, long length, NbdTransmission flags)
    {
        (_stream, Length, Flags) = (stream, length, flags);
        _receiving = ReceiveAsync();
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
    public static async Task<NbdConnection> OpenAsync(NbdAddress address, NbdClientOptions options, CancellationToken stop)
    {
        var socket = address.Endpoint is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Stream? stream = null;
        try
        {
            await socket.ConnectAsync(address.Endpoint, stop).ConfigureAwait(false);
            stream = new NetworkStream(socket, ownsSocket: true);
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
                await secured.AuthenticateAsClientAsync(options.Tls ?? new SslClientAuthenticationOptions { TargetHost = address.Host }, stop).ConfigureAwait(false);
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
            return new NbdConnection(stream, export.Length, export.Flags);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or System.Security.Authentication.AuthenticationException or IOException)
        {
            if (stream is not null) await stream.DisposeAsync().ConfigureAwait(false);
            socket.Dispose();
            throw e as IOException ?? new IOException(e is OperationCanceledException ? "The server did not answer in time." : e.Message, e);
        }
    }

    /// <summary>Sends a request and waits for its reply. On cancellation the connection is given up: its state is unknown.</summary>
    public async Task RequestAsync(NbdCommand command, long offset, int length, ReadOnlyMemory<byte> payload, Memory<byte> target, CancellationToken stop)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        ulong cookie;
        lock (_gate)
        {
            if (_failure is not null) throw new IOException(_failure.Message, _failure);
            cookie = ++_cookie;
            _pending[cookie] = new Pending(done, target);
        }

        await using var deadline = stop.Register(() => Fail(new IOException("The server did not answer in time."))).ConfigureAwait(false);
        var header = new byte[NbdProtocol.RequestBytes];
        BinaryPrimitives.WriteUInt32BigEndian(header, NbdProtocol.RequestMagic);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(6), (ushort)command);
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(8), cookie);
        BinaryPrimitives.WriteInt64BigEndian(header.AsSpan(16), offset);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(24), length);
        try
        {
            await _sending.WaitAsync(CancellationToken.None).ConfigureAwait(false);
            try
            {
                await _stream.WriteAsync(header, CancellationToken.None).ConfigureAwait(false);
                if (payload.Length > 0) await _stream.WriteAsync(payload, CancellationToken.None).ConfigureAwait(false);
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

        await done.Task.ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        Fail(new IOException("The connection was closed."));
        await _receiving.ConfigureAwait(false);
        _sending.Dispose();
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

    private async Task ReceiveAsync()
    {
        var reply = new byte[16];
        try
        {
            while (true)
            {
                await _stream.ReadExactlyAsync(reply).ConfigureAwait(false);
                if (BinaryPrimitives.ReadUInt32BigEndian(reply) != NbdProtocol.SimpleReplyMagic) throw new IOException("The server broke the protocol.");
                var error = BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(4));
                Pending? pending;
                lock (_gate)
                    if (!_pending.Remove(BinaryPrimitives.ReadUInt64BigEndian(reply.AsSpan(8)), out pending)) throw new IOException("A reply to nothing.");
                try
                {
                    if (error == 0 && pending.Target.Length > 0) await _stream.ReadExactlyAsync(pending.Target).ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    pending.Done.TrySetException(e as IOException ?? new IOException(e.Message, e));
                    throw;
                }

                if (error == 0) pending.Done.TrySetResult();
                else pending.Done.TrySetException(new IOException($"The server reports error {error}."));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            Fail(e as IOException ?? new IOException("The connection was closed.", e));
        }

        Pending[] left;
        lock (_gate)
        {
            left = [.. _pending.Values];
            _pending.Clear();
        }

        foreach (var pending in left) pending.Done.TrySetException(new IOException(_failure!.Message, _failure));
    }
}

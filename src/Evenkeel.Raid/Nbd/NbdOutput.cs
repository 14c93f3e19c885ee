using System.Runtime.InteropServices;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>
/// Replies on their way to a client. Small ones are gathered into one send; while the reader still has requests at hand (corked) they
/// wait for each other. Memory is bounded by the <see cref="NbdRoom"/>, which a request leaves once its reply is sent.
/// </summary>
internal sealed class NbdOutput(Stream stream, NbdRoom room)
{
    private const int GatherBytes = 64 * 1024;
    private const int CopiedBytes = 16 * 1024;
    private const int EnoughBytes = 256 * 1024;
    private readonly Lock _gate = new();
    private List<Piece> _pending = [];
    private List<Piece> _sending = [];
    private int _pendingBytes;
    private bool _corked;
    private bool _busy;
    private volatile bool _failed;

    private struct Piece
    {
        public IoBuffer Buffer;
        public int Length;
        public bool Gathers;
        public int Requests;
        public long Bytes;
    }

    public void Cork()
    {
        lock (_gate) _corked = true;
    }

    public void Uncork()
    {
        lock (_gate)
        {
            _corked = false;
            if (!MustStart()) return;
        }

        _ = SendAsync();
    }

    /// <summary>Queues a reply. The data's buffer is given back when it is sent.</summary>
    public void Reply(ReadOnlySpan<byte> header, IoBuffer? data, int dataLength, long roomBytes)
    {
        lock (_gate)
        {
            Gather(header);
            if (data is not null && dataLength <= CopiedBytes)
            {
                Gather(data.Span[..dataLength]);
                data.Dispose();
            }
            else if (data is not null)
            {
                _pending.Add(new Piece { Buffer = data, Length = dataLength });
                _pendingBytes += dataLength;
            }

            ref var last = ref CollectionsMarshal.AsSpan(_pending)[^1];
            last.Requests++;
            last.Bytes += roomBytes;
            if (!MustStart()) return;
        }

        _ = SendAsync();
    }

    private void Gather(ReadOnlySpan<byte> bytes)
    {
        if (_pending.Count == 0 || _pending[^1] is not { Gathers: true } piece || piece.Length + bytes.Length > GatherBytes)
            _pending.Add(new Piece { Buffer = IoBuffer.Rent(GatherBytes), Gathers = true });
        ref var last = ref CollectionsMarshal.AsSpan(_pending)[^1];
        bytes.CopyTo(last.Buffer.Span[last.Length..]);
        last.Length += bytes.Length;
        _pendingBytes += bytes.Length;
    }

    private bool MustStart()
    {
        if (_busy || _pending.Count == 0 || _corked && _pendingBytes < EnoughBytes) return false;
        return _busy = true;
    }

    private async Task SendAsync()
    {
        while (true)
        {
            lock (_gate)
            {
                _busy = false;
                if (!MustStart()) return;
                (_pending, _sending, _pendingBytes) = (_sending, _pending, 0);
            }

            foreach (var piece in _sending)
            {
                try
                {
                    if (!_failed) await stream.WriteAsync(piece.Buffer.Memory[..piece.Length]).ConfigureAwait(false);
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
                {
                    // The client is gone; the loop that reads from it notices too.
                    _failed = true;
                }

                piece.Buffer.Dispose();
                room.Leave(piece.Requests, piece.Bytes);
            }

            _sending.Clear();
        }
    }
}

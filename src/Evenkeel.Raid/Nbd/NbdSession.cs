using System.Buffers;
using System.Buffers.Binary;

namespace Evenkeel.Raid.Nbd;

/// <summary>The transmission phase with one client: requests run at once and are answered as they end, in any order.</summary>
internal sealed class NbdSession(NbdAgreement agreed, int maximumRequests) : IDisposable
{
    private static readonly byte[] Zeros = new byte[1 << 20];
    private readonly Stream _stream = agreed.Stream;
    private readonly INbdExport _export = agreed.Export;
    private readonly SemaphoreSlim _room = new(maximumRequests, maximumRequests);
    private readonly SemaphoreSlim _sending = new(1, 1);

    private readonly record struct Request(NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length);

    /// <summary>Returns when the client has said goodbye, or throws when it broke off; either way every request has ended.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var header = new byte[NbdProtocol.RequestBytes];
        try
        {
            while (true)
            {
                await _stream.ReadExactlyAsync(header, stop).ConfigureAwait(false);
                if (BinaryPrimitives.ReadUInt32BigEndian(header) != NbdProtocol.RequestMagic) throw new IOException("No request magic.");
                var request = new Request(
                    (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(4)), (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(6)),
                    BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(8)), BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(16)), BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(24)));
                if (request.Command == NbdCommand.Disconnect) return;
                if (request is { Command: NbdCommand.Write, Length: > NbdProtocol.MaximumPayload }) throw new IOException("A write too long to be read away.");
                await _room.WaitAsync(stop).ConfigureAwait(false);
                byte[]? payload = null;
                if (request.Command == NbdCommand.Write)
                {
                    payload = ArrayPool<byte>.Shared.Rent((int)request.Length);
                    try
                    {
                        await _stream.ReadExactlyAsync(payload.AsMemory(0, (int)request.Length), stop).ConfigureAwait(false);
                    }
                    catch
                    {
                        _room.Release();
                        throw;
                    }
                }

                _ = HandleAsync(request, payload);
            }
        }
        finally
        {
            for (var i = 0; i < maximumRequests; i++) await _room.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    public void Dispose()
    {
        _room.Dispose();
        _sending.Dispose();
    }

    private async Task HandleAsync(Request request, byte[]? payload)
    {
        byte[]? read = null;
        try
        {
            var error = Judge(request);
            if (error == NbdError.None)
            {
                if (request.Command == NbdCommand.Read) read = ArrayPool<byte>.Shared.Rent((int)request.Length);
                error = await CarryOutAsync(request, payload, read).ConfigureAwait(false);
            }

            await AnswerAsync(request, error, read).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The client is gone; the loop that reads from it notices too.
        }
        finally
        {
            if (payload is not null) ArrayPool<byte>.Shared.Return(payload);
            if (read is not null) ArrayPool<byte>.Shared.Return(read);
            _room.Release();
        }
    }

    private NbdError Judge(Request request)
    {
        var allowed = request.Command switch
        {
            NbdCommand.Read => NbdCommandFlags.DontFragment | NbdCommandFlags.Fua,
            NbdCommand.WriteZeroes => NbdCommandFlags.Fua | NbdCommandFlags.NoHole,
            NbdCommand.BlockStatus => NbdCommandFlags.RequestOne | NbdCommandFlags.Fua,
            _ => NbdCommandFlags.Fua,
        };
        if ((request.Flags & ~allowed) != 0) return NbdError.Invalid;
        if (request.Command > NbdCommand.BlockStatus) return NbdError.Invalid;
        if (request.Command == NbdCommand.Flush) return request is { Offset: 0, Length: 0 } ? NbdError.None : NbdError.Invalid;
        var writes = request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
        if (writes && _export.IsReadOnly) return NbdError.NotPermitted;
        if (request.Command == NbdCommand.Trim && !_export.CanTrim) return NbdError.Invalid;
        if (request.Command == NbdCommand.BlockStatus && (!agreed.Allocation || request.Length == 0)) return NbdError.Invalid;
        if (request is { Command: NbdCommand.Read, Length: > NbdProtocol.MaximumPayload }) return NbdError.Invalid;
        if (request.Offset > (ulong)_export.Length || request.Length > (ulong)_export.Length - request.Offset) return writes ? NbdError.NoSpace : NbdError.Invalid;
        return (request.Offset | request.Length) % 512 != 0 ? NbdError.Invalid : NbdError.None; // smaller than the block size we announced
    }

    private async Task<NbdError> CarryOutAsync(Request request, byte[]? payload, byte[]? read)
    {
        var offset = (long)request.Offset;
        var length = (int)Math.Min(request.Length, int.MaxValue);
        try
        {
            switch (request.Command)
            {
                case NbdCommand.Read: await _export.ReadAsync(offset, read.AsMemory(0, length)).ConfigureAwait(false); break;
                case NbdCommand.Write: await _export.WriteAsync(offset, payload.AsMemory(0, length)).ConfigureAwait(false); break;
                case NbdCommand.Trim: await _export.TrimAsync(offset, request.Length).ConfigureAwait(false); break;
                case NbdCommand.WriteZeroes: await ZeroAsync(offset, request.Length).ConfigureAwait(false); break;
                case NbdCommand.Flush: await _export.FlushAsync().ConfigureAwait(false); break;
                case NbdCommand.Cache or NbdCommand.BlockStatus: break; // a hint that we may ignore; answered below
            }

            var changes = request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
            if (changes && (request.Flags & NbdCommandFlags.Fua) != 0) await _export.FlushAsync().ConfigureAwait(false);
            return NbdError.None;
        }
        catch (IOException)
        {
            return NbdError.Io;
        }
        catch (ObjectDisposedException)
        {
            return NbdError.Shutdown;
        }
    }

    private async Task ZeroAsync(long offset, long length)
    {
        while (length > 0)
        {
            var part = (int)Math.Min(length, Zeros.Length);
            await _export.WriteAsync(offset, Zeros.AsMemory(0, part)).ConfigureAwait(false);
            (offset, length) = (offset + part, length - part);
        }
    }

    private async Task AnswerAsync(Request request, NbdError error, byte[]? read)
    {
        var structured = agreed.Structured && request.Command is (NbdCommand.Read or NbdCommand.BlockStatus);
        var header = structured ? Structured(request, error) : Simple(request, error);
        await _sending.WaitAsync().ConfigureAwait(false);
        try
        {
            await _stream.WriteAsync(header).ConfigureAwait(false);
            if (read is not null && error == NbdError.None) await _stream.WriteAsync(read.AsMemory(0, (int)request.Length)).ConfigureAwait(false);
        }
        finally
        {
            _sending.Release();
        }
    }

    private static byte[] Simple(Request request, NbdError error)
    {
        var reply = new byte[16];
        BinaryPrimitives.WriteUInt32BigEndian(reply, NbdProtocol.SimpleReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(4), (uint)error);
        BinaryPrimitives.WriteUInt64BigEndian(reply.AsSpan(8), request.Cookie);
        return reply;
    }

    // One chunk each, the last at once: error; data with their offset; or 'all allocated' (arrays have no holes).
    private static byte[] Structured(Request request, NbdError error)
    {
        var (type, extra, follows) = error != NbdError.None ? (NbdChunk.Error, 6, 0L)
            : request.Command == NbdCommand.BlockStatus ? (NbdChunk.BlockStatus, 12, 0L)
            : request.Length == 0 ? (NbdChunk.None, 0, 0L)
            : (NbdChunk.OffsetData, 8, request.Length);
        var reply = new byte[20 + extra];
        BinaryPrimitives.WriteUInt32BigEndian(reply, NbdProtocol.StructuredReplyMagic);
        BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(4), 1);
        BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(6), (ushort)type);
        BinaryPrimitives.WriteUInt64BigEndian(reply.AsSpan(8), request.Cookie);
        BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(16), (uint)(extra + follows));
        switch (type)
        {
            case NbdChunk.Error:
                BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(20), (uint)error);
                break;
            case NbdChunk.OffsetData:
                BinaryPrimitives.WriteUInt64BigEndian(reply.AsSpan(20), request.Offset);
                break;
            case NbdChunk.BlockStatus:
                BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(20), NbdProtocol.BaseAllocationId);
                BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(24), request.Length);
                break;
        }

        return reply;
    }
}

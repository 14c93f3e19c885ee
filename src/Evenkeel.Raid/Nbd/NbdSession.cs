using System.Collections.Concurrent;
using static System.Buffers.Binary.BinaryPrimitives;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>The transmission phase with one client: requests run at once and are answered as they end, in any order.</summary>
internal sealed class NbdSession : IDisposable
{
    private readonly NbdAgreement _agreed;
    private readonly INbdExport _export;
    private readonly NbdRoom _room;
    private readonly NbdInput _input;
    private readonly NbdOutput _output;
    private readonly ConcurrentQueue<NbdOperation> _idle = [];

    public NbdSession(NbdAgreement agreed, NbdServerOptions options)
    {
        (_agreed, _export) = (agreed, agreed.Export);
        _room = new NbdRoom(options.MaximumRequests, options.MaximumBytes);
        _input = new NbdInput(agreed.Stream);
        _output = new NbdOutput(agreed.Stream, _room);
    }

    /// <summary>
    /// Returns when the client has said goodbye, or throws when it broke off; either way every request has ended. Until the end it stays on
    /// its caller's thread, which every wait blocks.
    /// </summary>
    public void Run(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                if (!_input.Has(NbdProtocol.RequestBytes)) Fill();
                var request = Parse(_input.Take(NbdProtocol.RequestBytes));
                if (request.Command == NbdCommand.Disconnect) return;
                var room = request.Command is NbdCommand.Read or NbdCommand.Write ? request.Length : 0;
                var error = Judge(request);
                if (error != NbdError.None && request.Command != NbdCommand.Write) room = 0;
                if (!_room.TryEnter(room)) Enter(room, stop);
                var operation = _idle.TryDequeue(out var used) ? used : new NbdOperation(this);
                var buffer = room > 0 ? IoBuffer.Rent((int)room) : null;
                if (request.Command == NbdCommand.Write)
                {
                    try
                    {
                        if (buffer is not null) ReadPayload(buffer.Span[..(int)room]);
                    }
                    catch
                    {
                        buffer?.Dispose();
                        _room.Leave(1, room);
                        throw;
                    }
                }

                operation.Start(request, buffer);
            }
        }
        finally
        {
            _output.Uncork();
            _room.Empty();
        }
    }

    public void Dispose()
    {
        _room.Dispose();
        _input.Dispose();
    }

    internal ValueTask FlushAsync() => _export.FlushAsync();

    internal ValueTask BeginAsync(NbdOperation operation)
    {
        var request = operation.Request;
        if (Judge(request) != NbdError.None) return default; // Finish says why
        var (offset, length) = ((long)request.Offset, (long)request.Length);
        return request.Command switch
        {
            NbdCommand.Read when length > 0 => _export.ReadAsync(offset, operation.Buffer!.Memory[..(int)length]),
            NbdCommand.Write when length > 0 => _export.WriteAsync(offset, operation.Buffer!.Memory[..(int)length]),
            NbdCommand.Trim => _export.TrimAsync(offset, length),
            NbdCommand.WriteZeroes => _export.WriteZeroesAsync(offset, length, (request.Flags & NbdCommandFlags.NoHole) == 0),
            NbdCommand.Flush => _export.FlushAsync(),
            NbdCommand.BlockStatus => _export.MapAsync(offset, length, operation.Extents),
            _ => default, // nothing to do, or a hint that may be ignored (cache)
        };
    }

    internal void Finish(NbdOperation operation, NbdError error)
    {
        var request = operation.Request;
        if (error == NbdError.None) error = Judge(request);
        var reads = request.Command == NbdCommand.Read && error == NbdError.None && request.Length > 0;
        var room = operation.Buffer is null ? 0 : request.Length;
        if (!reads) operation.Buffer?.Dispose();
        Limit(request, operation.Extents);
        Span<byte> header = stackalloc byte[NbdReply.MaximumBytes];
        var length = _agreed.Structured && request.Command is NbdCommand.Read or NbdCommand.BlockStatus && _agreed.Structured
            ? NbdReply.Structured(header, request, error, operation.Extents)
            : NbdReply.Simple(header, request, error);
        _output.Reply(header[..length], reads ? operation.Buffer : null, (int)request.Length, room);
        operation.Buffer = null;
        operation.Extents.Clear();
        _idle.Enqueue(operation);
    }

    // While the reader waits, nothing is kept from the client.
    private void Fill()
    {
        _output.Uncork();
        _input.Fill(NbdProtocol.RequestBytes);
        _output.Cork();
    }

    private void Enter(long room, CancellationToken stop)
    {
        _output.Uncork();
        _room.Enter(room, stop);
        _output.Cork();
    }

    private void ReadPayload(Span<byte> payload)
    {
        var waits = !_input.Has(payload.Length);
        if (waits) _output.Uncork();
        _input.Read(payload);
        if (waits) _output.Cork();
    }

    private static NbdRequest Parse(ReadOnlySpan<byte> header)
    {
        if (ReadUInt32BigEndian(header) != NbdProtocol.RequestMagic) throw new IOException("No request magic.");
        var request = new NbdRequest(
            (NbdCommandFlags)ReadUInt16BigEndian(header[4..]), (NbdCommand)ReadUInt16BigEndian(header[6..]),
            ReadUInt64BigEndian(header[8..]), ReadUInt64BigEndian(header[16..]), ReadUInt32BigEndian(header[24..]));
        if (request is { Command: NbdCommand.Write, Length: > NbdProtocol.MaximumPayload }) throw new IOException("A write too long to be read away.");
        return request;
    }

    private NbdError Judge(NbdRequest request)
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
        if (request.Changes && _export.IsReadOnly) return NbdError.NotPermitted;
        if (request.Command == NbdCommand.Trim && !_export.CanTrim) return NbdError.Invalid;
        if (request.Command == NbdCommand.BlockStatus && (!_agreed.Allocation || request.Length == 0)) return NbdError.Invalid;
        if (request is { Command: NbdCommand.Read, Length: > NbdProtocol.MaximumPayload }) return NbdError.Invalid;
        if (request.Offset > (ulong)_export.Length || request.Length > (ulong)_export.Length - request.Offset) return request.Changes ? NbdError.NoSpace : NbdError.Invalid;
        return (request.Offset | request.Length) % 512 != 0 ? NbdError.Invalid : NbdError.None; // smaller than the block size we announced
    }

    // The last extent may reach beyond what was asked for, unless one alone was wanted. No more than fit a reply.
    private static void Limit(NbdRequest request, List<NbdExtent> extents)
    {
        var most = (request.Flags & NbdCommandFlags.RequestOne) != 0 ? 1 : NbdExtent.Maximum;
        if (extents.Count > most) extents.RemoveRange(most, extents.Count - most);
        long left = request.Length;
        for (var i = 0; i < extents.Count; i++)
        {
            if (extents[i].Length > left) extents[i] = extents[i] with { Length = left };
            left -= extents[i].Length;
        }
    }
}

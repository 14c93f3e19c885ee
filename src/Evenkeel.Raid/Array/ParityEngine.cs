using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Parity;
using Evenkeel.Raid.PartialParity;

namespace Evenkeel.Raid.Array;

/// <summary>
/// RAID 5 and 6. A write works on one row at a time under the row's lock, in a buffer that holds the touched columns of all its blocks:
/// data in logical order, P, Q. What must be read before is the cheapest of: nothing (all data given), the old data and parities
/// (read-modify-write), the data not given (reconstruct-write), or all that is left (a needed block is lost). Writes that wait for the row
/// meanwhile are done together (<see cref="WaitingWrites"/>).
/// </summary>
internal sealed class ParityEngine(ArrayMetadata metadata, ParityKernel kernel) : IArrayEngine
{
    private readonly RegionLocks _locks = new();
    private readonly WaitingWrites _waiting = new();
    private readonly ArrayGeometry _geometry = metadata.Geometry;

    public long SyncStep => _geometry.ChunkSectors;

    private long RowSectors => (long)_geometry.ChunkSectors * _geometry.DataMembers;

    public ValueTask ReadAsync(long sector, Memory<byte> buffer)
    {
        var (row, index, within) = BlockOf(sector);
        return buffer.Length / 512 <= _geometry.ChunkSectors - within ? ReadBlockAsync(row, index, within, buffer) : ReadBlocksAsync(sector, buffer);
    }

    public ValueTask WriteAsync(long sector, ReadOnlyMemory<byte> buffer)
    {
        var (row, within) = Math.DivRem(sector, RowSectors);
        return buffer.Length / 512 <= RowSectors - within ? WriteRowAsync(row, within, buffer) : WriteRowsAsync(sector, buffer);
    }

    // A row of zeros has zeros for parity. What is not a whole row is written like other data.
    public async ValueTask ZeroAsync(long sector, long count)
    {
        var rowSectors = RowSectors;
        for (var end = sector + count; sector < end;)
        {
            var (row, within) = Math.DivRem(sector, rowSectors);
            var part = Math.Min(end - sector, rowSectors - within);
            if (part == rowSectors) await ZeroRowAsync(row).ConfigureAwait(false);
            else part = await ZeroPieceAsync(row, within, part).ConfigureAwait(false);
            sector += part;
        }
    }

    public async ValueTask<long> SyncAsync(long syncSector, long count, SyncKind kind)
    {
        var (row, within) = Math.DivRem(syncSector, _geometry.ChunkSectors);
        using var held = await _locks.TakeAsync(row).ConfigureAwait(false);
        using var stripe = StripeBuffer.Rent(metadata, row, within, (int)count);
        await stripe.ReadAllAsync().ConfigureAwait(false);
        if (kind == SyncKind.Rebuild)
        {
            stripe.Recover(kernel);
            await stripe.WriteBlocksAsync(0, member => member.State == MemberState.Rebuilding && !member.Readable(stripe.Chunks, syncSector, count)).ConfigureAwait(false);
            return 0;
        }

        var lost = stripe.Missing.Count > 0;
        if (lost)
        {
            // With a block lost there is no redundancy left to compare (RAID 5), or only Q's; what is rebuilt agrees by construction.
            stripe.Recover(kernel);
            await stripe.CorrectAsync().ConfigureAwait(false);
            if (kind == SyncKind.Check) return 0;
        }

        var length = (int)count * 512;
        var parity = ArrayPool<byte>.Shared.Rent(length * 2);
        try
        {
            var mismatches = Compare(stripe, parity, length);
            if (mismatches > 0 && kind == SyncKind.Repair) await stripe.WriteBlocksAsync(_geometry.DataMembers, _ => true).ConfigureAwait(false);
            return lost ? 0 : mismatches;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(parity);
        }
    }

    // Counts what differs and puts the right parities into the stripe.
    private long Compare(StripeBuffer stripe, byte[] scratch, int length)
    {
        Span<byte> p = scratch.AsSpan(0, length), q = scratch.AsSpan(length, length);
        if (_geometry.Parities == 2) kernel.Syndrome(stripe.Data, _geometry.DataMembers, p, q);
        else kernel.Xor(stripe.Data, _geometry.DataMembers, p);
        var stored = stripe.Block(_geometry.DataMembers).Span;
        long mismatches = MismatchCount.Sectors(p, stored);
        p.CopyTo(stored);
        if (_geometry.Parities == 1) return mismatches;
        var storedQ = stripe.Block(_geometry.DataMembers + 1).Span;
        mismatches = Math.Max(mismatches, MismatchCount.Sectors(q, storedQ));
        q.CopyTo(storedQ);
        return mismatches;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadBlockAsync(long row, int index, long within, Memory<byte> buffer)
    {
        var at = row * _geometry.ChunkSectors + within;
        var count = buffer.Length / 512;
        if (metadata.Slots[_geometry.StripeMember(row, index)] is { } member && member.Readable(metadata.ChunksOf(at, count), at, count))
        {
            try
            {
                await member.ReadAsync(at, buffer).ConfigureAwait(false);
                return;
            }
            catch (IOException)
            {
                // Below it is read again, and corrected, with the row held.
            }
        }

        using var held = await _locks.TakeAsync(row).ConfigureAwait(false);
        using var stripe = StripeBuffer.Rent(metadata, row, within, count);
        await stripe.ReadAllAsync().ConfigureAwait(false);
        stripe.Recover(kernel);
        await stripe.CorrectAsync().ConfigureAwait(false);
        stripe.Block(index).CopyTo(buffer);
    }

    private async ValueTask ZeroRowAsync(long row)
    {
        using var held = await _locks.TakeAsync(row).ConfigureAwait(false);
        if (metadata.Broken) throw new ArrayBrokenException("The array is broken.");
        var slot = _geometry.ParityMember(row);
        if (metadata.Log is { } log)
        {
            var whole = new LogEntry(row * _geometry.DataMembers * _geometry.ChunkSectors, 0, _geometry.DataMembers * _geometry.ChunkSectors * 512, slot, Crc32C.Of([]));
            await log.EnterAsync(slot, [whole], default).ConfigureAwait(false);
        }

        try
        {
            using var fan = Fan.Rent();
            for (var holder = 0; holder < _geometry.Members; holder++)
            {
                var (member, replacement) = metadata.HoldersOf(holder);
                if (member is { Writable: true }) fan.AddZeros(member, row * _geometry.ChunkSectors, _geometry.ChunkSectors);
                if (replacement is { Writable: true }) fan.AddZeros(replacement, row * _geometry.ChunkSectors, _geometry.ChunkSectors);
            }

            await fan.RunAsync(Fan.Call.Zero).ConfigureAwait(false);
            await fan.EjectFailedAsync(metadata).ConfigureAwait(false);
        }
        finally
        {
            metadata.Log?.Leave(slot);
        }
    }

    private async ValueTask<long> ZeroPieceAsync(long row, long within, long count)
    {
        var zeros = Devices.Zeros.Of(count * 512);
        await WriteRowAsync(row, within, zeros).ConfigureAwait(false);
        return zeros.Length / 512;
    }

    private ValueTask WriteRowAsync(long row, long within, ReadOnlyMemory<byte> buffer) =>
        _locks.TryTake(row, out var held) ? WriteAndReleaseAsync(held, row, within, buffer) : WriteWithOthersAsync(row, within, buffer);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteAndReleaseAsync(RegionLocks.Holder held, long row, long within, ReadOnlyMemory<byte> buffer)
    {
        using var _ = held;
        await WriteHeldAsync(row, within, buffer).ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteWithOthersAsync(long row, long within, ReadOnlyMemory<byte> buffer)
    {
        var own = _waiting.Add(row, within, buffer);
        using var held = await _locks.TakeAsync(row).ConfigureAwait(false);
        using var returned = own;
        if (own.IsDone)
        {
            if (own.Error is { } error) ExceptionDispatchInfo.Throw(error);
            return;
        }

        using var together = WaitingWrites.Together.Rent();
        _waiting.TakeAdjoining(own, together);
        try
        {
            await WriteHeldAsync(row, together.Within, together.Join()).ConfigureAwait(false);
            together.Done(null);
        }
        catch (IOException failed)
        {
            together.Done(failed);
            throw;
        }
    }

    // The row's lock is held.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteHeldAsync(long row, long within, ReadOnlyMemory<byte> buffer)
    {
        if (metadata.Broken) throw new ArrayBrokenException("The array is broken.");
        var write = new RowWrite(_geometry, within, buffer);
        using var stripe = StripeBuffer.Rent(metadata, row, write.Low, (int)(write.High - write.Low));
        var parities = _geometry.Parities;
        var data = _geometry.DataMembers;

        // Parity that may be wrong must not be updated by a difference: it would stay wrong.
        var trusted = metadata.Intent?.OutOfSync.Any(stripe.Chunks) != true;
        var modify = trusted && !write.IsFull && write.Touched + parities < data - write.Covered
            && CanRead(stripe, write.First, write.Touched) && CanRead(stripe, data, parities);
        if (modify && await ModifyAsync(stripe, write).ConfigureAwait(false))
        {
            await WriteOutAsync(stripe, row, write).ConfigureAwait(false);
            return;
        }

        if (!write.IsFull)
        {
            var enough = true;
            for (var index = 0; index < data && enough; index++) enough = write.Covers(index) || stripe.CanRead(index);
            if (!enough || !await stripe.TryReadAsync(0, data, write).ConfigureAwait(false))
            {
                await stripe.ReadAllAsync().ConfigureAwait(false);
                stripe.Recover(kernel);
            }
        }

        write.CopyInto(stripe);
        if (parities == 2) kernel.Syndrome(stripe.Data, data, stripe.BlockSpan(data), stripe.BlockSpan(data + 1));
        else kernel.Xor(stripe.Data, data, stripe.BlockSpan(data));
        await WriteOutAsync(stripe, row, write).ConfigureAwait(false);
    }

    // The new blocks and parities, after what is needed to mend the row if the power goes meanwhile.
    private ValueTask WriteOutAsync(StripeBuffer stripe, long row, RowWrite write) =>
        metadata.Log is { } log ? WriteLoggedAsync(log, stripe, row, write) : stripe.WriteAsync(write);

    private async ValueTask WriteLoggedAsync(PartialParityLog log, StripeBuffer stripe, long row, RowWrite write)
    {
        var slot = _geometry.ParityMember(row);
        var (entries, partial) = LogOf(stripe, row, write);
        await log.EnterAsync(slot, entries, partial).ConfigureAwait(false);
        try
        {
            await stripe.WriteAsync(write).ConfigureAwait(false);
        }
        finally
        {
            log.Leave(slot);
        }
    }

    // Partial parity is the new parity less what is written now.
    private (List<LogEntry> Entries, ReadOnlyMemory<byte> Partial) LogOf(StripeBuffer stripe, long row, RowWrite write)
    {
        var entries = new List<LogEntry>();
        var partial = new List<byte[]>();
        foreach (var (from, to, first, blocks) in write.Segments())
        {
            int offset = (int)(from - write.Low) * 512, length = (int)(to - from) * 512;
            var rest = System.Array.Empty<byte>();
            if (blocks < _geometry.DataMembers)
            {
                rest = stripe.Block(_geometry.DataMembers).Span.Slice(offset, length).ToArray();
                for (var index = first; index < first + blocks; index++) kernel.Xor(stripe.Block(index).Span.Slice(offset, length), rest);
                partial.Add(rest);
            }

            var at = (row * _geometry.DataMembers + first) * _geometry.ChunkSectors + from;
            entries.Add(new LogEntry(at, rest.Length, blocks * length, _geometry.ParityMember(row), Crc32C.Of(rest)));
        }

        return (entries, partial.Count == 1 ? partial[0] : partial.SelectMany(bytes => bytes).ToArray());
    }

    private (long Row, int Index, long Within) BlockOf(long sector)
    {
        var (chunk, within) = Math.DivRem(sector, _geometry.ChunkSectors);
        var (row, index) = Math.DivRem(chunk, _geometry.DataMembers);
        return (row, (int)index, within);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadBlocksAsync(long sector, Memory<byte> buffer)
    {
        using var pieces = Pieces.Rent();
        while (buffer.Length > 0)
        {
            var (row, index, within) = BlockOf(sector);
            var count = Math.Min(buffer.Length / 512, _geometry.ChunkSectors - within);
            await pieces.AddAsync(ReadBlockAsync(row, index, within, buffer[..(int)(count * 512)])).ConfigureAwait(false);
            (sector, buffer) = (sector + count, buffer[(int)(count * 512)..]);
        }

        await pieces.AllAsync().ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteRowsAsync(long sector, ReadOnlyMemory<byte> buffer)
    {
        using var pieces = Pieces.Rent();
        while (buffer.Length > 0)
        {
            var (row, within) = Math.DivRem(sector, RowSectors);
            var count = Math.Min(buffer.Length / 512, RowSectors - within);
            await pieces.AddAsync(WriteRowAsync(row, within, buffer[..(int)(count * 512)])).ConfigureAwait(false);
            (sector, buffer) = (sector + count, buffer[(int)(count * 512)..]);
        }

        await pieces.AllAsync().ConfigureAwait(false);
    }

    private static bool CanRead(StripeBuffer stripe, int first, int count)
    {
        for (var index = first; index < first + count; index++)
            if (!stripe.CanRead(index)) return false;
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ModifyAsync(StripeBuffer stripe, RowWrite write)
    {
        int data = _geometry.DataMembers, parities = _geometry.Parities;
        if (!await stripe.ReadForModifyAsync(write).ConfigureAwait(false)) return false;
        var length = stripe.Block(0).Length;
        using var old = IoBuffer.Rent(length);
        for (var index = write.First; index < write.First + write.Touched; index++)
        {
            stripe.BlockSpan(index).CopyTo(old.Span);
            write.CopyInto(stripe, index);
            kernel.Update(
                GaloisField.Power(index), old.Span[..length], stripe.BlockSpan(index), stripe.BlockSpan(data), parities == 2 ? stripe.BlockSpan(data + 1) : []);
        }
        return true;
    }
}

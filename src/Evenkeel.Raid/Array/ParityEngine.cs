using System.Buffers;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Parity;

namespace Evenkeel.Raid.Array;

/// <summary>
/// RAID 5 and 6. A write works on one row at a time under the row's lock, in a buffer that holds the touched columns of all its blocks:
/// data in logical order, P, Q. What must be read before is the cheapest of: nothing (all data given), the old data and parities
/// (read-modify-write), the data not given (reconstruct-write), or all that is left (a needed block is lost).
/// </summary>
internal sealed class ParityEngine(ArrayMetadata metadata, ParityKernel kernel) : IArrayEngine
{
    private readonly RegionLocks _locks = new();
    private readonly ArrayGeometry _geometry = metadata.Geometry;

    public long SyncStep => _geometry.ChunkSectors;

    public async ValueTask ReadAsync(long sector, Memory<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var within = sector % _geometry.ChunkSectors;
            var count = Math.Min(buffer.Length / 512, _geometry.ChunkSectors - within);
            var (row, index) = Math.DivRem(sector / _geometry.ChunkSectors, _geometry.DataMembers);
            await ReadBlockAsync(row, (int)index, within, buffer[..(int)(count * 512)]).ConfigureAwait(false);
            (sector, buffer) = (sector + count, buffer[(int)(count * 512)..]);
        }
    }

    public async ValueTask WriteAsync(long sector, ReadOnlyMemory<byte> buffer)
    {
        long rowSectors = (long)_geometry.ChunkSectors * _geometry.DataMembers;
        while (buffer.Length > 0)
        {
            var (row, within) = Math.DivRem(sector, rowSectors);
            var count = Math.Min(buffer.Length / 512, rowSectors - within);
            using (await _locks.TakeAsync(row).ConfigureAwait(false))
                await WriteRowAsync(row, within, buffer[..(int)(count * 512)]).ConfigureAwait(false);
            (sector, buffer) = (sector + count, buffer[(int)(count * 512)..]);
        }
    }

    public async ValueTask<long> SyncAsync(long syncSector, long count, SyncKind kind)
    {
        var (row, within) = Math.DivRem(syncSector, _geometry.ChunkSectors);
        using var held = await _locks.TakeAsync(row).ConfigureAwait(false);
        using var stripe = new StripeBuffer(metadata, row, within, (int)count);
        await stripe.ReadAsync(0, stripe.Blocks).ConfigureAwait(false);
        if (kind == SyncKind.Rebuild)
        {
            stripe.Recover(kernel);
            await stripe.WriteAsync(index => true, member => member.State == MemberState.Rebuilding && !member.Readable(stripe.Chunks, syncSector, count)).ConfigureAwait(false);
            return 0;
        }

        var unreadable = stripe.Missing.ToArray();
        if (unreadable.Length > 0)
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
            if (mismatches > 0 && kind == SyncKind.Repair) await stripe.WriteAsync(index => index >= _geometry.DataMembers, _ => true).ConfigureAwait(false);
            return unreadable.Length > 0 ? 0 : mismatches;
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
        using var stripe = new StripeBuffer(metadata, row, within, count);
        await stripe.ReadAsync(0, stripe.Blocks).ConfigureAwait(false);
        stripe.Recover(kernel);
        await stripe.CorrectAsync().ConfigureAwait(false);
        stripe.Block(index).CopyTo(buffer);
    }

    private async ValueTask WriteRowAsync(long row, long within, ReadOnlyMemory<byte> buffer)
    {
        if (metadata.Broken) throw new ArrayBrokenException("The array is broken.");
        var write = new RowWrite(_geometry, within, buffer);
        using var stripe = new StripeBuffer(metadata, row, write.Low, (int)(write.High - write.Low));
        var parities = _geometry.Parities;
        var data = _geometry.DataMembers;

        // Parity that may be wrong must not be updated by a difference: it would stay wrong.
        var trusted = metadata.Intent?.OutOfSync.Any(stripe.Chunks) != true;
        var modify = trusted && !write.IsFull && write.Touched + parities < data - write.Covered
            && Enumerable.Range(write.First, write.Touched).Concat(Enumerable.Range(data, parities)).All(stripe.CanRead);
        if (modify && await ModifyAsync(stripe, write).ConfigureAwait(false))
        {
            await stripe.WriteAsync(index => index >= data || write.Touches(index), _ => true, write).ConfigureAwait(false);
            return;
        }

        if (!write.IsFull)
        {
            var needed = Enumerable.Range(0, data).Where(index => !write.Covers(index)).ToArray();
            if (!needed.All(stripe.CanRead) || !await stripe.TryReadAsync(needed).ConfigureAwait(false))
            {
                await stripe.ReadAsync(0, stripe.Blocks).ConfigureAwait(false);
                stripe.Recover(kernel);
            }
        }

        write.CopyInto(stripe);
        if (parities == 2) kernel.Syndrome(stripe.Data, data, stripe.Block(data).Span, stripe.Block(data + 1).Span);
        else kernel.Xor(stripe.Data, data, stripe.Block(data).Span);
        await stripe.WriteAsync(index => index >= data || write.Touches(index), _ => true, write).ConfigureAwait(false);
    }

    private async ValueTask<bool> ModifyAsync(StripeBuffer stripe, RowWrite write)
    {
        int data = _geometry.DataMembers, parities = _geometry.Parities;
        var needed = Enumerable.Range(write.First, write.Touched).Concat(Enumerable.Range(data, parities)).ToArray();
        if (!await stripe.TryReadAsync(needed).ConfigureAwait(false)) return false;
        var length = stripe.Block(0).Length;
        var before = ArrayPool<byte>.Shared.Rent(length);
        for (var index = write.First; index < write.First + write.Touched; index++)
        {
            stripe.Block(index).Span.CopyTo(before);
            write.CopyInto(stripe, index);
            kernel.Update(
                GaloisField.Power(index), before.AsSpan(0, length), stripe.Block(index).Span, stripe.Block(data).Span, parities == 2 ? stripe.Block(data + 1).Span : []);
        }

        ArrayPool<byte>.Shared.Return(before);
        return true;
    }
}

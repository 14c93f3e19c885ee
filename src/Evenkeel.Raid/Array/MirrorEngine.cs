using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Evenkeel.Raid.Geometry;

namespace Evenkeel.Raid.Array;

/// <summary>RAID 0, 1 and 10: each sector has one or more copies, and no parity. RAID 0 is a mirror with one copy.</summary>
internal sealed class MirrorEngine(ArrayMetadata metadata) : IArrayEngine
{
    private const int MirrorRegion = 2048;
    private readonly RegionLocks _locks = new();
    private readonly ArrayGeometry _geometry = metadata.Geometry;
    private int _turn;

    public long SyncStep => _geometry.ChunkSectors == 0 ? MirrorRegion : _geometry.ChunkSectors;

    public ValueTask ReadAsync(long sector, Memory<byte> buffer) =>
        buffer.Length / 512 <= SyncStep - sector % SyncStep ? ReadRegionAsync(sector, buffer) : ReadRegionsAsync(sector, buffer);

    public ValueTask WriteAsync(long sector, ReadOnlyMemory<byte> buffer) =>
        buffer.Length / 512 <= SyncStep - sector % SyncStep ? WriteRegionAsync(sector, buffer) : WriteRegionsAsync(sector, buffer);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadRegionsAsync(long sector, Memory<byte> buffer)
    {
        using var pieces = Pieces.Rent();
        while (buffer.Length > 0)
        {
            var count = Math.Min(buffer.Length / 512, SyncStep - sector % SyncStep);
            await pieces.AddAsync(ReadRegionAsync(sector, buffer[..(int)(count * 512)])).ConfigureAwait(false);
            (sector, buffer) = (sector + count, buffer[(int)(count * 512)..]);
        }

        await pieces.AllAsync().ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteRegionsAsync(long sector, ReadOnlyMemory<byte> buffer)
    {
        using var pieces = Pieces.Rent();
        while (buffer.Length > 0)
        {
            var count = Math.Min(buffer.Length / 512, SyncStep - sector % SyncStep);
            await pieces.AddAsync(WriteRegionAsync(sector, buffer[..(int)(count * 512)])).ConfigureAwait(false);
            (sector, buffer) = (sector + count, buffer[(int)(count * 512)..]);
        }

        await pieces.AllAsync().ConfigureAwait(false);
    }

    public async ValueTask ZeroAsync(long sector, long count)
    {
        for (var end = sector + count; sector < end;)
        {
            var part = Math.Min(end - sector, SyncStep - sector % SyncStep);
            await ChangeRegionAsync(sector, part, Fan.Call.Zero, default).ConfigureAwait(false);
            sector += part;
        }
    }

    public async ValueTask<long> SyncAsync(long syncSector, long count, SyncKind kind)
    {
        using var held = await _locks.TakeAsync(syncSector / SyncStep).ConfigureAwait(false);
        var length = (int)count * 512;
        byte[] right = ArrayPool<byte>.Shared.Rent(length), other = ArrayPool<byte>.Shared.Rent(length);
        long mismatches = 0;
        try
        {
            var source = await ReadAnyAsync(syncSector, right.AsMemory(0, length), turn: 0).ConfigureAwait(false);
            foreach (var (member, at) in Targets(syncSector))
            {
                if (member == source) continue;
                var chunks = metadata.ChunksOf(syncSector, count);
                if (kind == SyncKind.Rebuild ? member.State != MemberState.Rebuilding || member.Holds(chunks, at, count) : !member.Readable(chunks, at, count)) continue;
                if (kind != SyncKind.Rebuild)
                {
                    try
                    {
                        await member.ReadAsync(at, other.AsMemory(0, length)).ConfigureAwait(false);
                        var differ = MismatchCount.Sectors(right.AsSpan(0, length), other.AsSpan(0, length));
                        mismatches += differ;
                        if (differ == 0) continue;
                    }
                    catch (IOException) when (kind == SyncKind.Repair)
                    {
                        // Writing is the repair of an unreadable place.
                    }
                    catch (IOException)
                    {
                        mismatches += count;
                    }
                }

                if (kind != SyncKind.Check) await TryWriteAsync(member, at, right.AsMemory(0, length)).ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(right);
            ArrayPool<byte>.Shared.Return(other);
        }

        return mismatches;
    }

    private IEnumerable<(ArrayMember Member, long At)> Targets(long sector)
    {
        for (var copy = 0; copy < _geometry.Copies; copy++)
        {
            var cell = _geometry.CopyOf(sector, copy);
            var (member, replacement) = metadata.HoldersOf(cell.Member);
            if (member is { Writable: true }) yield return (member, cell.Sector);
            if (replacement is { Writable: true }) yield return (replacement, cell.Sector);
        }
    }

    // The copy whose turn it is among those that can be read.
    private bool TryPick(long sector, long count, int turn, out ArrayMember member, out long at)
    {
        var chunks = metadata.ChunksOf(sector, count);
        int readable = 0, wanted = -1;
        for (var pass = 0; pass < 2; pass++)
        {
            for (var copy = 0; copy < _geometry.Copies; copy++)
            {
                var cell = _geometry.CopyOf(sector, copy);
                at = cell.Sector;
                if (metadata.Slots[cell.Member] is { } first && first.Readable(chunks, at, count) && readable++ == wanted) return Found(first, out member);
                if (metadata.Replacements[cell.Member] is { } second && second.Readable(chunks, at, count) && readable++ == wanted) return Found(second, out member);
            }

            if (readable == 0) break;
            (wanted, readable) = (turn % readable, 0);
        }

        (member, at) = (null!, 0);
        return false;

        static bool Found(ArrayMember holder, out ArrayMember result)
        {
            result = holder;
            return true;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadRegionAsync(long sector, Memory<byte> buffer)
    {
        // Copies that may differ are read from the first always, else one reader could see two answers.
        var first = metadata.Intent?.OutOfSync.Any(metadata.ChunksOf(sector, buffer.Length / 512)) ?? false;
        var turn = first ? 0 : Interlocked.Increment(ref _turn) & int.MaxValue;
        if (TryPick(sector, buffer.Length / 512, turn, out var member, out var at))
        {
            try
            {
                await member.ReadAsync(at, buffer).ConfigureAwait(false);
                return;
            }
            catch (IOException)
            {
                // Below it is read again, and corrected.
            }
        }

        // Writing a copy anew must not cross a client's write: the same again with the region held.
        using var held = await _locks.TakeAsync(sector / SyncStep).ConfigureAwait(false);
        await ReadAnyAsync(sector, buffer, turn).ConfigureAwait(false);
    }

    private async ValueTask<ArrayMember> ReadAnyAsync(long sector, Memory<byte> buffer, int turn) =>
        await ReadFromAsync(sector, buffer, turn).ConfigureAwait(false) ?? throw new ArrayBrokenException($"No member holds array sector {sector}.");

    // The member that was read from. Needs the region's lock: copies are tried in turn, and what could not be read is written anew.
    private async ValueTask<ArrayMember?> ReadFromAsync(long sector, Memory<byte> buffer, int turn)
    {
        var chunks = metadata.ChunksOf(sector, buffer.Length / 512);
        var sources = Targets(sector).Where(copy => copy.Member.Readable(chunks, copy.At, buffer.Length / 512)).ToArray();
        List<(ArrayMember Member, long At, IOException Error)>? failed = null;
        for (var i = 0; i < sources.Length; i++)
        {
            var (member, at) = sources[(int)(((long)turn + i) % sources.Length)];
            try
            {
                await member.ReadAsync(at, buffer).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                (failed ??= []).Add((member, at, e));
                continue;
            }

            foreach (var bad in failed ?? []) await ReadRepair.CorrectAsync(metadata, bad.Member, bad.At, buffer, bad.Error).ConfigureAwait(false);
            return member;
        }

        return failed is null ? null : throw failed[^1].Error;
    }

    private ValueTask WriteRegionAsync(long sector, ReadOnlyMemory<byte> buffer) =>
        ChangeRegionAsync(sector, buffer.Length / 512, Fan.Call.Write, MemoryMarshal.AsMemory(buffer));

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangeRegionAsync(long sector, long count, Fan.Call call, Memory<byte> buffer)
    {
        using var held = await _locks.TakeAsync(sector / SyncStep).ConfigureAwait(false);
        if (metadata.Broken) throw new ArrayBrokenException("The array is broken.");
        using var fan = Fan.Rent();
        var current = false;
        for (var copy = 0; copy < _geometry.Copies; copy++)
        {
            var cell = _geometry.CopyOf(sector, copy);
            var (member, replacement) = metadata.HoldersOf(cell.Member);
            if (member is { Writable: true })
            {
                Add(member);
                current |= member.IsCurrent;
            }

            if (replacement is { Writable: true }) Add(replacement);

            void Add(ArrayMember holder)
            {
                if (call == Fan.Call.Zero) fan.AddZeros(holder, cell.Sector, count);
                else fan.Add(holder, cell.Sector, buffer);
            }
        }

        if (!current) throw new ArrayBrokenException($"No member takes array sector {sector}.");
        await fan.RunAsync(call).ConfigureAwait(false);
        await fan.EjectFailedAsync(metadata).ConfigureAwait(false);
    }

    private async ValueTask TryWriteAsync(ArrayMember member, long at, ReadOnlyMemory<byte> data)
    {
        try
        {
            await member.WriteAsync(at, data).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            await metadata.FailAsync(member, $"write failed: {e.Message}").ConfigureAwait(false);
        }
    }
}

using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Parity;

namespace Evenkeel.Raid.Array;

/// <summary>
/// Some columns of all blocks of one row in pinned memory, contiguous: data in logical order, then P, then Q. Used again and again, so
/// that a request allocates nothing.
/// </summary>
internal sealed class StripeBuffer : IDisposable
{
    private static readonly ConcurrentQueue<StripeBuffer> Idle = [];
    private readonly List<(int Index, ArrayMember Member, IOException Error)> _unreadable = [];
    private readonly List<int> _missing = [];
    private ArrayMetadata _metadata = null!;
    private ArrayGeometry _geometry = null!;
    private IoBuffer _bytes = null!;
    private long _row;
    private long _sector;
    private int _count;

    private StripeBuffer()
    {
    }

    public static StripeBuffer Rent(ArrayMetadata metadata, long row, long column, int count)
    {
        if (!Idle.TryDequeue(out var stripe)) stripe = new StripeBuffer();
        (stripe._metadata, stripe._geometry, stripe._row, stripe._count) = (metadata, metadata.Geometry, row, count);
        stripe._sector = row * metadata.Geometry.ChunkSectors + column;
        stripe._bytes = IoBuffer.Rent(metadata.Geometry.Members * count * 512);
        stripe.Chunks = metadata.ChunksOf(stripe._sector, count);
        return stripe;
    }

    public int Blocks => _geometry.Members;

    /// <summary>The sync chunks that these columns lie in.</summary>
    public ChunkRange Chunks { get; private set; }

    /// <summary>Blocks that the last read could not get, in ascending order.</summary>
    public IReadOnlyList<int> Missing => _missing;

    public ReadOnlySpan<byte> Data => _bytes.Span[..(_geometry.DataMembers * _count * 512)];

    public Memory<byte> Block(int index) => _bytes.Memory.Slice(index * _count * 512, _count * 512);

    public Span<byte> BlockSpan(int index) => _bytes.Span.Slice(index * _count * 512, _count * 512);

    public bool CanRead(int index) => Member(index) is { } member && member.Readable(Chunks, _sector, _count);

    /// <summary>Reads all blocks; those that cannot be read are then <see cref="Missing"/>.</summary>
    public async ValueTask ReadAllAsync() => await TryReadAsync(0, Blocks, default).ConfigureAwait(false);

    /// <summary>Reads some blocks, except those that a write gives whole, and says whether all could be read.</summary>
    public ValueTask<bool> TryReadAsync(int first, int count, RowWrite except)
    {
        var fan = Begin();
        for (var index = first; index < first + count; index++)
            if (!except.Covers(index)) Add(fan, index);
        return ReadAsync(fan);
    }

    /// <summary>Reads what a write changes, and the parities, and says whether all could be read.</summary>
    public ValueTask<bool> ReadForModifyAsync(RowWrite write)
    {
        var fan = Begin();
        for (var index = write.First; index < write.First + write.Touched; index++) Add(fan, index);
        for (var index = _geometry.DataMembers; index < Blocks; index++) Add(fan, index);
        return ReadAsync(fan);
    }

    private Fan Begin()
    {
        _missing.Clear();
        _unreadable.Clear();
        return Fan.Rent();
    }

    private void Add(Fan fan, int index)
    {
        if (CanRead(index)) fan.Add(Member(index)!, _sector, Block(index), index);
        else _missing.Add(index);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReadAsync(Fan fan)
    {
        using var reading = fan;
        await fan.RunAsync(Fan.Call.Read).ConfigureAwait(false);
        foreach (var (target, error) in fan.Failures)
        {
            _missing.Add(target.Index);
            _unreadable.Add((target.Index, target.Member, error));
        }

        _missing.Sort();
        return _missing.Count == 0;
    }

    /// <summary>Recomputes what the last read of all blocks could not get.</summary>
    /// <exception cref="IOException">Too much is missing.</exception>
    public void Recover(ParityKernel kernel)
    {
        if (_missing.Count > _geometry.Parities)
            throw _unreadable.Count > 0 ? _unreadable[0].Error : new ArrayBrokenException($"{_missing.Count} blocks of row {_row} are lost.");
        StripeRecovery.Recover(kernel, _bytes.Span[..(Blocks * _count * 512)], _geometry.DataMembers, _geometry.Parities, [.. _missing]);
    }

    /// <summary>Writes recomputed blocks back where they could not be read.</summary>
    public async ValueTask CorrectAsync()
    {
        foreach (var (index, member, error) in _unreadable)
            await ReadRepair.CorrectAsync(_metadata, member, _sector, Block(index), error).ConfigureAwait(false);
    }

    /// <summary>Writes the blocks that a write changes, and the parities, to all members that hold them; one that cannot take its block is ejected.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WriteAsync(RowWrite write)
    {
        using var fan = Fan.Rent();
        for (var index = 0; index < Blocks; index++)
        {
            if (index >= _geometry.DataMembers)
            {
                AddHolders(fan, index, _sector, Block(index));
                continue;
            }

            if (!write.Touches(index)) continue;
            // Of a data block only the columns that the client gave are written: the others are on disk already.
            var (from, to) = write.Columns(index);
            AddHolders(fan, index, _sector + from - write.Low, Block(index).Slice((int)(from - write.Low) * 512, (int)(to - from) * 512));
        }

        await fan.RunAsync(Fan.Call.Write).ConfigureAwait(false);
        await fan.EjectFailedAsync(_metadata).ConfigureAwait(false);
    }

    /// <summary>Writes whole blocks from one on to those members that hold them and are chosen.</summary>
    public async ValueTask WriteBlocksAsync(int first, Func<ArrayMember, bool> members)
    {
        using var fan = Fan.Rent();
        for (var index = first; index < Blocks; index++) AddHolders(fan, index, _sector, Block(index), members);
        await fan.RunAsync(Fan.Call.Write).ConfigureAwait(false);
        await fan.EjectFailedAsync(_metadata).ConfigureAwait(false);
    }

    public void Dispose()
    {
        _bytes.Dispose();
        _unreadable.Clear();
        Idle.Enqueue(this);
    }

    private void AddHolders(Fan fan, int index, long at, Memory<byte> bytes, Func<ArrayMember, bool>? members = null)
    {
        var slot = _geometry.StripeMember(_row, index);
        var (member, replacement) = _metadata.HoldersOf(slot);
        if (member is { Writable: true } && members?.Invoke(member) != false) fan.Add(member, at, bytes);
        if (replacement is { Writable: true } && members?.Invoke(replacement) != false) fan.Add(replacement, at, bytes);
    }

    private ArrayMember? Member(int index) => _metadata.Slots[_geometry.StripeMember(_row, index)];
}

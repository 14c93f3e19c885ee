using System.Buffers;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Parity;

namespace Evenkeel.Raid.Array;

/// <summary>Some columns of all blocks of one row in pooled memory, contiguous: data in logical order, then P, then Q.</summary>
internal sealed class StripeBuffer : IDisposable
{
    private readonly ArrayMetadata _metadata;
    private readonly ArrayGeometry _geometry;
    private readonly long _row;
    private readonly long _sector;
    private readonly int _count;
    private readonly byte[] _bytes;
    private readonly List<(int Index, ArrayMember Member, IOException Error)> _unreadable = [];
    private readonly SortedSet<int> _missing = [];

    public StripeBuffer(ArrayMetadata metadata, long row, long column, int count)
    {
        (_metadata, _geometry, _row, _sector, _count) = (metadata, metadata.Geometry, row, row * metadata.Geometry.ChunkSectors + column, count);
        _bytes = ArrayPool<byte>.Shared.Rent(Blocks * count * 512);
        Chunks = metadata.ChunksOf(_sector, count);
    }

    public int Blocks => _geometry.Members;

    /// <summary>The sync chunks that these columns lie in.</summary>
    public ChunkRange Chunks { get; }

    /// <summary>Blocks that the last read could not get.</summary>
    public IEnumerable<int> Missing => _missing;

    public ReadOnlySpan<byte> Data => _bytes.AsSpan(0, _geometry.DataMembers * _count * 512);

    public Memory<byte> Block(int index) => _bytes.AsMemory(index * _count * 512, _count * 512);

    public bool CanRead(int index) => Member(index) is { } member && member.Readable(Chunks, _sector, _count);

    /// <summary>Reads blocks; those that cannot be read are then <see cref="Missing"/>.</summary>
    public async ValueTask ReadAsync(int first, int count) => await TryReadAsync([.. Enumerable.Range(first, count)]).ConfigureAwait(false);

    /// <summary>Reads blocks and says whether all could be read.</summary>
    public async ValueTask<bool> TryReadAsync(int[] indices)
    {
        _missing.Clear();
        _unreadable.Clear();
        foreach (var index in indices)
            if (!CanRead(index)) _missing.Add(index);
        var wanted = indices.Where(index => !_missing.Contains(index)).Select(index => (Index: index, Member: Member(index)!)).ToArray();
        foreach (var ((index, member), error) in await FanOut.RunAsync(wanted, block => block.Member.ReadAsync(_sector, Block(block.Index))).ConfigureAwait(false))
        {
            _missing.Add(index);
            _unreadable.Add((index, member, error));
        }

        return _missing.Count == 0;
    }

    /// <summary>Recomputes what the last read of all blocks could not get.</summary>
    /// <exception cref="IOException">Too much is missing.</exception>
    public void Recover(ParityKernel kernel)
    {
        if (_missing.Count > _geometry.Parities)
            throw _unreadable.Count > 0 ? _unreadable[0].Error : new ArrayBrokenException($"{_missing.Count} blocks of row {_row} are lost.");
        StripeRecovery.Recover(kernel, _bytes.AsSpan(0, Blocks * _count * 512), _geometry.DataMembers, _geometry.Parities, [.. _missing]);
    }

    /// <summary>Writes recomputed blocks back where they could not be read.</summary>
    public async ValueTask CorrectAsync()
    {
        foreach (var (index, member, error) in _unreadable)
            await ReadRepair.CorrectAsync(_metadata, member, _sector, Block(index), error).ConfigureAwait(false);
    }

    /// <summary>Writes the chosen blocks to all chosen members that hold them; a member that cannot take its block is ejected.</summary>
    public async ValueTask WriteAsync(Func<int, bool> blocks, Func<ArrayMember, bool> members, RowWrite? given = null)
    {
        var targets = new List<(ArrayMember Member, long At, ReadOnlyMemory<byte> Bytes)>();
        for (var index = 0; index < Blocks; index++)
        {
            if (!blocks(index)) continue;
            var slot = _geometry.StripeMember(_row, index);
            var (at, bytes) = Given(index, given);
            foreach (var member in new[] { _metadata.Slots[slot], _metadata.Replacements[slot] })
                if (member is { Writable: true } && members(member)) targets.Add((member, at, bytes));
        }

        var failures = await FanOut.RunAsync(targets, target => target.Member.WriteAsync(target.At, target.Bytes)).ConfigureAwait(false);
        foreach (var ((member, _, _), error) in failures) await _metadata.FailAsync(member, $"write failed: {error.Message}").ConfigureAwait(false);
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_bytes);

    // Of a data block only the columns that the client gave are written: the others are on disk already.
    private (long At, ReadOnlyMemory<byte> Bytes) Given(int index, RowWrite? given)
    {
        if (given is not { } write || index >= _geometry.DataMembers) return (_sector, Block(index));
        var (from, to) = write.Columns(index);
        return (_sector + from - write.Low, Block(index).Slice((int)(from - write.Low) * 512, (int)(to - from) * 512));
    }

    private ArrayMember? Member(int index) => _metadata.Slots[_geometry.StripeMember(_row, index)];
}

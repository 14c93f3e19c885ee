using Evenkeel.Raid.Geometry;

namespace Evenkeel.Raid.Array;

/// <summary>Which columns of which data blocks of one row a write gives. Columns are sectors within the chunk.</summary>
internal readonly struct RowWrite
{
    private readonly long _chunk;
    private readonly long _within;
    private readonly ReadOnlyMemory<byte> _buffer;

    public RowWrite(ArrayGeometry geometry, long within, ReadOnlyMemory<byte> buffer)
    {
        (_chunk, _within, _buffer) = (geometry.ChunkSectors, within, buffer);
        var end = within + buffer.Length / 512;
        First = (int)(within / _chunk);
        Touched = (int)((end - 1) / _chunk) - First + 1;
        // Within one block only the columns written matter; over several, the whole chunk is looked at.
        (Low, High) = Touched == 1 ? (within - First * _chunk, end - First * _chunk) : (0, _chunk);
        var covered = 0;
        for (var index = First; index < First + Touched; index++)
            if (Covers(index)) covered++;
        Covered = covered;
        IsFull = covered == geometry.DataMembers;
    }

    /// <summary>The first block touched.</summary>
    public int First { get; }

    /// <summary>Blocks touched.</summary>
    public int Touched { get; }

    /// <summary>Blocks given in all columns from <see cref="Low"/> to <see cref="High"/>.</summary>
    public int Covered { get; }

    /// <summary>Whether all data blocks are.</summary>
    public bool IsFull { get; }

    public long Low { get; }

    public long High { get; }

    public bool Touches(int index) => index >= First && index < First + Touched;

    /// <summary>Whether a block is given in all columns; never for a write of nothing.</summary>
    public bool Covers(int index) => Touches(index) && Columns(index) == (Low, High);

    /// <summary>The columns of a touched block that are given.</summary>
    public (long From, long To) Columns(int index) =>
        (Math.Max(_within - index * _chunk, 0), Math.Min(_within + _buffer.Length / 512 - index * _chunk, _chunk));

    /// <summary>
    /// The write in pieces of columns of which the same blocks are given: at most three, each of neighbouring blocks.
    /// </summary>
    public IEnumerable<(long From, long To, int First, int Blocks)> Segments()
    {
        var last = First + Touched - 1;
        if (Touched == 1)
        {
            yield return (Low, High, First, 1);
            yield break;
        }

        long begins = Columns(First).From, ends = Columns(last).To;
        long[] cuts = [0, Math.Min(begins, ends), Math.Max(begins, ends), _chunk];
        for (var i = 0; i < 3; i++)
        {
            var (from, to) = (cuts[i], cuts[i + 1]);
            var (first, until) = (from >= begins ? First : First + 1, from < ends ? last : last - 1);
            if (from < to && first <= until) yield return (from, to, first, until - first + 1);
        }
    }

    public void CopyInto(StripeBuffer stripe)
    {
        for (var index = First; index < First + Touched; index++) CopyInto(stripe, index);
    }

    public void CopyInto(StripeBuffer stripe, int index)
    {
        var (from, to) = Columns(index);
        _buffer.Span.Slice((int)(index * _chunk + from - _within) * 512, (int)(to - from) * 512).CopyTo(stripe.Block(index).Span[(int)((from - Low) * 512)..]);
    }
}

namespace Evenkeel.Backup.Chunking;

/// <summary>Finds where content is cut, so that an insertion moves only the cuts around it: restic's Rabin fingerprint.</summary>
/// <remarks>
/// The fingerprint at a position depends on the 64 bytes before it alone, and no cut comes before 512 KiB. So the search may
/// start anywhere with 64 bytes of run-up; four stretches are searched at once, which hides the latency of the table look-ups
/// and gives the same cuts.
/// </remarks>
internal sealed class RabinCutter
{
    public const int MinimumSize = 512 << 10;
    public const int MaximumSize = 8 << 20;
    private const int Window = 64;
    private const ulong Mask = (1UL << 20) - 1;
    private const int Lane = 4096;
    private const int Stride = 4 * Lane;

    private readonly ulong[] _out = new ulong[256];
    private readonly ulong[] _mod = new ulong[256];
    private readonly int _shift;

    public RabinCutter(ulong polynomial)
    {
        var degree = Polynomial.Degree(polynomial);
        if (degree is < 9 or > 53)
        {
            throw new RepositoryException(RepositoryError.Damaged, $"the chunker polynomial {polynomial:x} has degree {degree}");
        }
        _shift = degree - 8;
        for (var b = 0; b < 256; b++)
        {
            var hash = Polynomial.Modulo((ulong)b, polynomial);
            for (var i = 0; i < Window - 1; i++)
            {
                hash = Polynomial.Modulo(hash << 8, polynomial);
            }
            _out[b] = hash;
            _mod[b] = Polynomial.Modulo((ulong)b << degree, polynomial) | ((ulong)b << degree);
        }
    }

    /// <summary>
    /// Length of the first chunk of <paramref name="content"/>, which must hold <see cref="MaximumSize"/> bytes or all the rest;
    /// the whole length when there is no cut in it.
    /// </summary>
    public int FindCut(ReadOnlySpan<byte> content)
    {
        if (content.Length <= MinimumSize)
        {
            return content.Length;
        }
        var end = Math.Min(content.Length, MaximumSize);
        // A cut after byte i (length i + 1) looks at bytes i − 63 … i; the first possible length is MinimumSize.
        var position = MinimumSize - 1;
        while (position + Stride <= end)
        {
            var cut = SearchFourLanes(content, position);
            if (cut >= 0)
            {
                return cut;
            }
            position += Stride;
        }
        var last = SearchOne(content, position, end);
        return last >= 0 ? last : end;
    }

    private int SearchOne(ReadOnlySpan<byte> content, int from, int to)
    {
        if (from >= to)
        {
            return -1;
        }
        var digest = Prime(content, from);
        for (var i = from; i < to; i++)
        {
            digest = Slide(digest, content[i - Window], content[i]);
            if ((digest & Mask) == 0)
            {
                return i + 1;
            }
        }
        return -1;
    }

    private int SearchFourLanes(ReadOnlySpan<byte> content, int from)
    {
        ulong d0 = Prime(content, from), d1 = Prime(content, from + Lane),
            d2 = Prime(content, from + (2 * Lane)), d3 = Prime(content, from + (3 * Lane));
        var bytes = content.Slice(from - Window, Stride + Window);
        int cut1 = -1, cut2 = -1, cut3 = -1;
        var lane0 = bytes[..(Lane + Window)];
        var lane1 = bytes.Slice(Lane, Lane + Window);
        var lane2 = bytes.Slice(2 * Lane, Lane + Window);
        var lane3 = bytes.Slice(3 * Lane, Lane + Window);
        for (var i = 0; i < Lane; i++)
        {
            d0 = Slide(d0, lane0[i], lane0[i + Window]);
            d1 = Slide(d1, lane1[i], lane1[i + Window]);
            d2 = Slide(d2, lane2[i], lane2[i + Window]);
            d3 = Slide(d3, lane3[i], lane3[i + Window]);
            if ((d0 & Mask) == 0)
            {
                return from + i + 1;
            }
            cut1 = (d1 & Mask) == 0 && cut1 < 0 ? i : cut1;
            cut2 = (d2 & Mask) == 0 && cut2 < 0 ? i : cut2;
            cut3 = (d3 & Mask) == 0 && cut3 < 0 ? i : cut3;
        }
        return cut1 >= 0 ? from + Lane + cut1 + 1
            : cut2 >= 0 ? from + (2 * Lane) + cut2 + 1
            : cut3 >= 0 ? from + (3 * Lane) + cut3 + 1
            : -1;
    }

    /// <summary>The fingerprint of the 64 bytes before <paramref name="position"/>.</summary>
    private ulong Prime(ReadOnlySpan<byte> content, int position)
    {
        ulong digest = 0;
        foreach (var b in content.Slice(position - Window, Window))
        {
            digest = Append(digest, b);
        }
        return digest;
    }

    private ulong Slide(ulong digest, byte leaves, byte enters) => Append(digest ^ _out[leaves], enters);

    private ulong Append(ulong digest, byte b) => ((digest << 8) | b) ^ _mod[(byte)(digest >> _shift)];
}

using System.Globalization;
using Evenkeel.Backup.Engine;

namespace Evenkeel.Backup.Postgres;

/// <summary>What a server's summaries of its log say about the main data of its relations. Pure.</summary>
/// <remarks>
/// Source: PostgreSQL 17's <c>basebackup_incremental.c</c>, whose rules these are: a database that was made anew has changed as a whole,
/// and a relation has from the shortest length on that it was cut to, be it written again or not. Where those blocks are, the
/// summaries do not say: they may have been extended with zeros, which the log does not tell.
/// </remarks>
internal sealed class ChangedBlocks
{
    private readonly Dictionary<(uint Tablespace, uint Database, uint Relation), Relation> _relations = [];
    private readonly HashSet<(uint Tablespace, uint Database)> _madeAnew = [];
    private readonly long _segmentBytes;

    private ChangedBlocks(long segmentBytes) => _segmentBytes = segmentBytes;

    /// <summary>
    /// Reads lines <c>TABLESPACE|DATABASE|RELATION|LIMIT|{[FROM,TO),…}</c>: the limit in blocks or -1, the ranges in units, in order.
    /// </summary>
    /// <param name="blockSize">Bytes of a block.</param>
    /// <param name="unit">Bytes of a unit.</param>
    /// <param name="segmentBytes">Bytes at which a relation goes on in another file.</param>
    public static ChangedBlocks Parse(IEnumerable<string> lines, long blockSize, long unit, long segmentBytes)
    {
        var changes = new ChangedBlocks(segmentBytes);
        foreach (var line in lines)
        {
            try
            {
                changes.Add(line.Split('|'), blockSize, unit);
            }
            catch (Exception e) when (e is FormatException or OverflowException or IndexOutOfRangeException or ArgumentException)
            {
                throw new RepositoryException(RepositoryError.UnknownFormat, $"PostgreSQL's summaries of its log have the line '{line}', which names no changed blocks", e);
            }
        }
        return changes;
    }

    /// <summary>What changed in a file; null when all of it may have.</summary>
    public IChangedBytes? Of(uint tablespace, RelationFile file)
    {
        if (_madeAnew.Contains((tablespace, file.Database)))
        {
            return null;
        }
        return _relations.TryGetValue((tablespace, file.Database, file.Relation), out var relation)
            ? new Part(relation, file.Segment * _segmentBytes) : new Part(Relation.Unchanged, 0);
    }

    private void Add(string[] parts, long blockSize, long unit)
    {
        var (tablespace, database, relation) = (Unsigned(parts[0]), Unsigned(parts[1]), Unsigned(parts[2]));
        var limit = long.Parse(parts[3], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        if (parts.Length != 5 || limit < -1 || parts[4] is not ['{', .., '}'])
        {
            throw new FormatException();
        }
        if (relation == 0)
        {
            // The database itself, which only has a limit.
            _madeAnew.Add((tablespace, database));
            return;
        }
        var ranges = new List<(long From, long To)>();
        foreach (var range in parts[4][1..^1].Split("),", StringSplitOptions.RemoveEmptyEntries))
        {
            var ends = range.TrimStart('[').TrimEnd(')').Split(',');
            var (from, to) = (checked(Whole(ends[0]) * unit), checked(Whole(ends[1]) * unit));
            if (ends.Length != 2 || from >= to || (ranges.Count > 0 && from < ranges[^1].To))
            {
                throw new FormatException();
            }
            ranges.Add((from, to));
        }
        _relations.Add((tablespace, database, relation), new Relation(limit < 0 ? long.MaxValue : checked(limit * blockSize), [.. ranges]));
    }

    private static uint Unsigned(string text) => uint.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private static long Whole(string text) => long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    /// <param name="Limit">From this byte on everything may have changed.</param>
    /// <param name="Ranges">Bytes that changed before it, in order and apart.</param>
    private sealed record Relation(long Limit, (long From, long To)[] Ranges)
    {
        public static readonly Relation Unchanged = new(long.MaxValue, []);
    }

    /// <summary>One file of a relation.</summary>
    private sealed class Part(Relation relation, long begins) : IChangedBytes
    {
        public bool Any(long from, long to)
        {
            (from, to) = (from + begins, to + begins);
            if (to > relation.Limit)
            {
                return true;
            }
            // The first range that ends behind the beginning.
            var (low, high) = (0, relation.Ranges.Length);
            while (low < high)
            {
                var middle = (low + high) / 2;
                (low, high) = relation.Ranges[middle].To > from ? (low, middle) : (middle + 1, high);
            }
            return low < relation.Ranges.Length && relation.Ranges[low].From < to;
        }
    }
}

using System.Globalization;
using Evenkeel.Backup.Engine;

namespace Evenkeel.Backup.Postgres;

/// <summary>A server's own account of the blocks that its log changes (<c>summarize_wal</c>; PostgreSQL 17 and newer), read through SQL.</summary>
/// <remarks>Source: PostgreSQL's documentation, "WAL Summarization Information Functions". They need the rights of a superuser, or EXECUTE.</remarks>
internal sealed class WalSummaries(PsqlSession session, TimeProvider time)
{
    // As long as the server itself waits for its own incremental backups.
    private static readonly TimeSpan LongestStandstill = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(200);

    /// <summary>What changed in a part of the log; or why that cannot be known.</summary>
    /// <param name="timeline">Of both ends.</param>
    /// <param name="from">Where the part begins.</param>
    /// <param name="to">Where it ends; the server may still be writing the summary.</param>
    public async Task<(ChangedBlocks? Changes, string? WhyNot)> ReadAsync(uint timeline, ulong from, ulong to, CancellationToken cancellation)
    {
        if (!await IsSummarizedAsync(to, cancellation).ConfigureAwait(false))
        {
            return (null, $"the server has not summarized its log up to {LogPosition.Write(to)}, and did not go on within {LongestStandstill.TotalSeconds:0} s");
        }
        var summaries = (await LinesAsync(string.Create(CultureInfo.InvariantCulture, $"""
            SELECT start_lsn || ' ' || end_lsn FROM pg_available_wal_summaries()
            WHERE tli = {timeline} AND end_lsn > '{LogPosition.Write(from)}' AND start_lsn < '{LogPosition.Write(to)}' ORDER BY start_lsn
            """), cancellation).ConfigureAwait(false)).Select(line => line.Split(' ') is [var start, var end] ? (LogPosition.Parse(start), LogPosition.Parse(end))
                : throw new RepositoryException(RepositoryError.UnknownFormat, $"PostgreSQL names the summary '{line}'")).ToList();
        if (FirstMissing(summaries, from, to) is { } missing)
        {
            return (null, $"the server has no summary of its log from {LogPosition.Write(missing)} on, which is needed up to {LogPosition.Write(to)}: summarize_wal was off then, or wal_summary_keep_time is too short");
        }
        var sizes = (await session.AskAsync("SELECT database_block_size || ' ' || blocks_per_segment FROM pg_control_init()", cancellation).ConfigureAwait(false)).Split(' ');
        var (blockSize, segment) = (long.Parse(sizes[0], CultureInfo.InvariantCulture), long.Parse(sizes[1], CultureInfo.InvariantCulture));
        // Counted in the blocks that a backup has, and as ranges: a thousandth of the rows. The summaries are named one by one, so that one
        // that is removed meanwhile is an error. The other forks are not asked for: the log does not tell all that is done to
        // free space and visibility maps, and they are small.
        var lines = await LinesAsync(string.Create(CultureInfo.InvariantCulture, $$"""
            SELECT concat_ws('|', t, d, r, coalesce(min(n) FILTER (WHERE l), -1), coalesce(range_agg(int8range(n, n + 1)) FILTER (WHERE NOT l), '{}'))
            FROM (SELECT DISTINCT reltablespace AS t, reldatabase AS d, relfilenode AS r, is_limit_block AS l,
                    CASE WHEN is_limit_block THEN relblocknumber ELSE relblocknumber / {{FileReader.FixedBlock / blockSize}} END AS n
                FROM (VALUES {{string.Join(',', summaries.Select(s => $"('{LogPosition.Write(s.Item1)}'::pg_lsn, '{LogPosition.Write(s.Item2)}'::pg_lsn)"))}}) AS s (a, b),
                    LATERAL pg_wal_summary_contents({{timeline}}, s.a, s.b)
                WHERE relforknumber = 0) AS changed
            GROUP BY t, d, r
            """), cancellation).ConfigureAwait(false);
        return (ChangedBlocks.Parse(lines, blockSize, FileReader.FixedBlock, segment * blockSize), null);
    }

    /// <summary>Where the first part begins that none of the summaries (in the order of their beginnings) has; null when they have all. Pure.</summary>
    internal static ulong? FirstMissing(IEnumerable<(ulong Start, ulong End)> summaries, ulong from, ulong to)
    {
        var known = from;
        foreach (var (start, end) in summaries)
        {
            if (start > known)
            {
                break;
            }
            known = Math.Max(known, end);
        }
        return known >= to ? null : known;
    }

    private async Task<bool> IsSummarizedAsync(ulong position, CancellationToken cancellation)
    {
        var (since, last) = (time.GetTimestamp(), 0UL);
        while (true)
        {
            var state = await session.AskAsync("SELECT summarized_lsn || ' ' || pending_lsn FROM pg_get_wal_summarizer_state()", cancellation).ConfigureAwait(false);
            // What is on disk, and what has been read for the next summary.
            var (done, pending) = state.Split(' ') is [var first, var second] ? (LogPosition.Parse(first), LogPosition.Parse(second)) : (0UL, 0UL);
            if (done >= position)
            {
                return true;
            }
            if (pending > last)
            {
                (since, last) = (time.GetTimestamp(), pending);
            }
            else if (time.GetElapsedTime(since) > LongestStandstill)
            {
                return false;
            }
            // The server tells nobody when it is done.
            await Task.Delay(LookAgain, time, cancellation).ConfigureAwait(false);
        }
    }

    private async Task<string[]> LinesAsync(string question, CancellationToken cancellation) =>
        (await session.AskAsync(question, cancellation).ConfigureAwait(false)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

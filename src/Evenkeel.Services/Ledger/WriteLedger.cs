using System.Diagnostics;
using Npgsql;

namespace Evenkeel.Services.Ledger;

public enum WriteOutcome
{
    /// <summary>The database said that it is committed: it must never be missing later.</summary>
    Acknowledged,
    /// <summary>The database said that it is not, or was never reached.</summary>
    Refused,
    /// <summary>The connection broke before an answer: it may be there or not.</summary>
    Unknown,
}

/// <param name="Ended">When the outcome was known, from the ledger's begin.</param>
public sealed record LedgerEntry(long Sequence, WriteOutcome Outcome, TimeSpan Began, TimeSpan Ended);

/// <param name="Lost">Acknowledged, and missing now.</param>
/// <param name="UnknownPresent">Of the unknown ones, those that are there.</param>
/// <param name="LongestOutage">The longest time between two acknowledgements that follow each other.</param>
public sealed record LedgerVerdict(int Acknowledged, int Refused, int Unknown, IReadOnlyList<long> Lost, int UnknownPresent, TimeSpan LongestOutage)
{
    /// <summary>
    /// The same of clients that make a new connection for each write and give a silent one up soon: how long nobody could write. A
    /// client that waits for an answer which never comes is served again when its own patience ends, whatever the cluster does.
    /// </summary>
    public TimeSpan LongestUnwritable { get; init; }

    /// <summary>Several clients' verdicts as one; of the outages the longest.</summary>
    public static LedgerVerdict Of(IReadOnlyList<LedgerVerdict> clients) => new(
        clients.Sum(one => one.Acknowledged), clients.Sum(one => one.Refused), clients.Sum(one => one.Unknown), [.. clients.SelectMany(one => one.Lost)],
        clients.Sum(one => one.UnknownPresent), clients.Max(one => one.LongestOutage)) { LongestUnwritable = clients.Max(one => one.LongestUnwritable) };
}

/// <summary>
/// A client that writes numbered rows, one a transaction, and keeps its own account of what was acknowledged; afterwards it
/// compares the account with the database. What a cluster promises about acknowledged writes is proven or refuted by it.
/// One ledger is one client; run several for load. Not for use by several threads at once.
/// </summary>
public sealed class WriteLedger
{
    private const string Table = "evenkeel_ledger";
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private readonly Func<string> _where;
    private readonly string _client;
    private readonly TimeSpan _limit;
    private readonly List<LedgerEntry> _entries = [];
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    /// <param name="where">The connection string, asked for at each connection: it may move.</param>
    /// <param name="client">Unique among the ledgers of one database.</param>
    /// <param name="limit">A write or connection that takes longer is given up as unknown or refused.</param>
    public WriteLedger(Func<string> where, string client, TimeSpan limit) => (_where, _client, _limit) = (where, client, limit);

    /// <summary>A connection of its own for each write: <see cref="LedgerVerdict.LongestUnwritable"/> is measured, the other outage is not.</summary>
    public bool Fresh { get; init; }

    /// <summary>What has been written so far; a copy.</summary>
    public IReadOnlyList<LedgerEntry> Entries
    {
        get
        {
            lock (_entries)
            {
                return [.. _entries];
            }
        }
    }

    /// <summary>Makes the table where there is none.</summary>
    /// <exception cref="NpgsqlException">The database refuses, or is not there.</exception>
    public static async Task PrepareAsync(string connection, CancellationToken cancellation)
    {
        await using var link = new NpgsqlConnection(connection);
        await link.OpenAsync(cancellation).ConfigureAwait(false);
        await using var command = new NpgsqlCommand($"CREATE TABLE IF NOT EXISTS {Table} (client text NOT NULL, sequence bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (client, sequence))", link);
        await command.ExecuteNonQueryAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>Writes row after row until stopped, over failures too. Never throws for a failure of the database.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        NpgsqlConnection? link = null;
        // Stopping cuts no write off: the last one gets its outcome.
        for (var sequence = 1L; !stop.IsCancellationRequested; sequence++)
        {
            var began = _clock.Elapsed;
            var outcome = WriteOutcome.Refused;
            using var limit = new CancellationTokenSource(_limit);
            try
            {
                link ??= await ConnectAsync(limit.Token).ConfigureAwait(false);
                outcome = WriteOutcome.Unknown;
                await using var command = new NpgsqlCommand($"INSERT INTO {Table} (client, sequence) VALUES ($1, $2)", link);
                command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = _client });
                command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = sequence });
                // A cancelled wait for a standby commits here with a warning: no acknowledgement.
                var warned = false;
                void OnNotice(object sender, NpgsqlNoticeEventArgs notice) => warned |= notice.Notice.SqlState.StartsWith("01", StringComparison.Ordinal);
                link.Notice += OnNotice;
                await command.ExecuteNonQueryAsync(limit.Token).ConfigureAwait(false);
                link.Notice -= OnNotice;
                outcome = warned ? WriteOutcome.Unknown : WriteOutcome.Acknowledged;
            }
            catch (PostgresException refused)
            {
                // Class 57: the server is going down; with a commit under way nobody knows. Everything else rolled back.
                outcome = outcome == WriteOutcome.Unknown && refused.SqlState.StartsWith("57", StringComparison.Ordinal) ? WriteOutcome.Unknown : WriteOutcome.Refused;
            }
            catch (Exception failure) when (failure is NpgsqlException or OperationCanceledException or TimeoutException or IOException
                or System.Net.Sockets.SocketException or InvalidOperationException or ObjectDisposedException)
            {
                // The outcome so far stands: refused before the row was sent, unknown after.
            }

            lock (_entries)
            {
                _entries.Add(new LedgerEntry(sequence, outcome, began, _clock.Elapsed));
            }

            if (outcome != WriteOutcome.Acknowledged || Fresh)
            {
                if (link is not null)
                {
                    await link.DisposeAsync().ConfigureAwait(false);
                    link = null;
                }

                await Task.Delay(Pause, CancellationToken.None).ConfigureAwait(false);
            }
        }

        if (link is not null)
        {
            await link.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Compares the account with what is in the database now.</summary>
    /// <exception cref="NpgsqlException">It cannot be read.</exception>
    public async Task<LedgerVerdict> VerifyAsync(string connection, CancellationToken cancellation)
    {
        var present = new HashSet<long>();
        await using (var link = new NpgsqlConnection(connection))
        {
            await link.OpenAsync(cancellation).ConfigureAwait(false);
            await using var command = new NpgsqlCommand($"SELECT sequence FROM {Table} WHERE client = $1", link);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = _client });
            await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
            while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
            {
                present.Add(reader.GetInt64(0));
            }
        }

        var verdict = Judge(Entries, present);
        return Fresh ? verdict with { LongestOutage = TimeSpan.Zero, LongestUnwritable = verdict.LongestOutage } : verdict;
    }

    internal static LedgerVerdict Judge(IReadOnlyList<LedgerEntry> entries, IReadOnlySet<long> present)
    {
        var acknowledged = entries.Where(entry => entry.Outcome == WriteOutcome.Acknowledged).ToList();
        var unknown = entries.Where(entry => entry.Outcome == WriteOutcome.Unknown).ToList();
        return new LedgerVerdict(
            acknowledged.Count, entries.Count - acknowledged.Count - unknown.Count, unknown.Count,
            [.. acknowledged.Where(entry => !present.Contains(entry.Sequence)).Select(entry => entry.Sequence)],
            unknown.Count(entry => present.Contains(entry.Sequence)),
            acknowledged.Zip(acknowledged.Skip(1), (before, after) => after.Ended - before.Ended).DefaultIfEmpty(TimeSpan.Zero).Max());
    }

    private async Task<NpgsqlConnection> ConnectAsync(CancellationToken cancellation)
    {
        var where = new NpgsqlConnectionStringBuilder(_where()) { Pooling = false, CancellationTimeout = -1, Timeout = Math.Max(1, (int)_limit.TotalSeconds) };
        var link = new NpgsqlConnection(where.ConnectionString);
        try
        {
            await link.OpenAsync(cancellation).ConfigureAwait(false);
            return link;
        }
        catch
        {
            await link.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}

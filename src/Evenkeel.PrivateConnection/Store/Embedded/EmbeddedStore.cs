using Evenkeel.Core.Loop.Ports;
using Microsoft.Data.Sqlite;

namespace Evenkeel.PrivateConnection.Store.Embedded;

/// <summary>
/// The coordination store of a cluster on one machine: SQLite, rollback journal, synchronous=FULL, so that a committed
/// transaction is on stable storage when it is answered. One process holds it (the file is locked exclusively).
/// </summary>
public sealed class EmbeddedStore : ICoordinationStore
{
    /// <summary>Answers to this many of the latest transactions are remembered for retries.</summary>
    private const int RememberedRequests = 10_000;

    private readonly SqliteConnection _connection;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly WatchHub _watches;
    private long _revision;
    private string? _broken;

    private EmbeddedStore(SqliteConnection connection, long revision)
    {
        _connection = connection;
        _revision = revision;
        _watches = new WatchHub(revision);
    }

    /// <summary>Opens the file, or makes it.</summary>
    /// <exception cref="StoreUnavailableException">It cannot be written, is damaged, or another process holds it; nothing was changed.</exception>
    public static EmbeddedStore Open(string file)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = file, Mode = SqliteOpenMode.ReadWriteCreate, Pooling = false, DefaultTimeout = 2,
        }.ToString());
        try
        {
            connection.Open();
            Execute(connection, "PRAGMA locking_mode=EXCLUSIVE");
            Execute(connection, "PRAGMA journal_mode=TRUNCATE");
            Execute(connection, "PRAGMA synchronous=FULL");
            using (var check = connection.CreateCommand())
            {
                check.CommandText = "PRAGMA quick_check(1)";
                if (check.ExecuteScalar() as string is not "ok" and var problem)
                {
                    throw new StoreUnavailableException($"the store's file {file} is damaged ({problem}); restore it from a backup, it was not changed");
                }
            }

            Execute(connection,
                """
                BEGIN EXCLUSIVE;
                CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS request (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, revision INTEGER NOT NULL);
                CREATE TABLE IF NOT EXISTS store (revision INTEGER NOT NULL);
                INSERT INTO store SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM store);
                COMMIT
                """);
            using var read = connection.CreateCommand();
            read.CommandText = "SELECT revision FROM store";
            return new EmbeddedStore(connection, (long)read.ExecuteScalar()!);
        }
        catch (SqliteException exception)
        {
            connection.Dispose();
            throw new StoreUnavailableException($"the store's file {file} cannot be used: {exception.Message}", exception);
        }
        catch (StoreUnavailableException)
        {
            connection.Dispose();
            throw;
        }
    }

    public async Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation)
    {
        await _gate.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            ThrowIfBroken();
            using var command = _connection.CreateCommand();
            // No LIKE: a prefix may hold its wildcards, and case matters.
            command.CommandText = "SELECT key, value, revision FROM record WHERE substr(key, 1, length($prefix)) = $prefix ORDER BY key";
            command.Parameters.AddWithValue("$prefix", prefix);
            var entries = new List<StoreEntry>();
            using var reader = command.ExecuteReader();
            while (reader.Read())
            {
                entries.Add(new StoreEntry(reader.GetString(0), (byte[])reader.GetValue(1), reader.GetInt64(2)));
            }

            return new StoreSnapshot(_revision, entries);
        }
        catch (SqliteException exception)
        {
            throw new StoreUnavailableException(exception.Message, exception);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        try
        {
            await _gate.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return new CommitResult(CommitOutcome.Unavailable, 0, "cancelled before it began");
        }

        try
        {
            return _broken is null ? Commit(transaction) : new CommitResult(CommitOutcome.Unavailable, 0, _broken);
        }
        finally
        {
            _gate.Release();
        }
    }

    public IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, CancellationToken cancellation) =>
        _watches.FollowAsync(prefix, afterRevision, cancellation);

    public async Task<StoreStatus> GetStatusAsync(CancellationToken cancellation)
    {
        await _gate.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            var size = new FileInfo(_connection.DataSource).Length;
            return new StoreStatus(_broken is null, "embedded", _revision, size, _broken is null ? [] : [_broken]);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync().ConfigureAwait(false);
        _gate.Dispose();
    }

    private CommitResult Commit(Transaction transaction)
    {
        var committing = false;
        try
        {
            using var sql = _connection.BeginTransaction();
            if (Scalar(sql, "SELECT revision FROM request WHERE id = $a", transaction.RequestId.ToString()) is long before)
            {
                return new CommitResult(CommitOutcome.Committed, before);
            }

            foreach (var compare in transaction.Compares)
            {
                var found = Scalar(sql, "SELECT revision FROM record WHERE key = $a", compare.Key) as long? ?? 0;
                if (found != compare.ModRevision)
                {
                    return new CommitResult(CommitOutcome.Conflict, 0, $"{compare.Key} is at revision {found}, not {compare.ModRevision}");
                }
            }

            var revision = _revision + 1;
            var entries = new List<StoreEntry>();
            var deleted = new List<string>();
            foreach (var write in transaction.Writes)
            {
                if (write.Value is { } value)
                {
                    var bytes = value.ToArray();
                    Run(sql, "INSERT INTO record VALUES ($a, $b, $c) ON CONFLICT (key) DO UPDATE SET value = $b, revision = $c", write.Key, bytes, revision);
                    entries.Add(new StoreEntry(write.Key, bytes, revision));
                }
                else if (Run(sql, "DELETE FROM record WHERE key = $a", write.Key) > 0)
                {
                    deleted.Add(write.Key);
                }
            }

            Run(sql, "INSERT INTO request (id, revision) VALUES ($a, $b)", transaction.RequestId.ToString(), revision);
            Run(sql, "DELETE FROM request WHERE number <= (SELECT max(number) FROM request) - $a", RememberedRequests);
            Run(sql, "UPDATE store SET revision = $a", revision);
            committing = true;
            sql.Commit();
            _revision = revision;
            _watches.Publish(new WatchBatch(revision, entries, deleted));
            return new CommitResult(CommitOutcome.Committed, revision);
        }
        catch (SqliteException exception) when (!committing)
        {
            // Nothing was written to the file yet, or all of it was rolled back.
            return new CommitResult(CommitOutcome.Unavailable, 0, exception.Message);
        }
        catch (SqliteException exception)
        {
            // SQLite may or may not have reached the point of no return; only opening the file anew can tell.
            _broken = $"a commit to the store's file failed ({exception.Message}); the store must be opened again";
            return new CommitResult(CommitOutcome.Indeterminate, 0, _broken);
        }
    }

    private void ThrowIfBroken()
    {
        if (_broken is not null)
        {
            throw new StoreUnavailableException(_broken);
        }
    }

    private object? Scalar(SqliteTransaction sql, string text, params object[] values)
    {
        using var command = Prepare(sql, text, values);
        return command.ExecuteScalar();
    }

    private int Run(SqliteTransaction sql, string text, params object[] values)
    {
        using var command = Prepare(sql, text, values);
        return command.ExecuteNonQuery();
    }

    private SqliteCommand Prepare(SqliteTransaction sql, string text, object[] values)
    {
        var command = _connection.CreateCommand();
        command.Transaction = sql;
#pragma warning disable CA2100 // Every text is a constant of this class.
        command.CommandText = text;
#pragma warning restore CA2100
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters.AddWithValue($"${(char)('a' + i)}", values[i]);
        }

        return command;
    }

    private static void Execute(SqliteConnection connection, string text)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Every text is a constant of this class.
        command.CommandText = text;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }
}

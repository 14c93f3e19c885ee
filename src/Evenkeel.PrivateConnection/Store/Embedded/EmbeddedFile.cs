using Evenkeel.Core.Loop.Ports;
using Microsoft.Data.Sqlite;

namespace Evenkeel.PrivateConnection.Store.Embedded;

/// <summary>
/// The SQLite file under an embedded store: rollback journal, synchronous=FULL, locked exclusively. Not thread-safe. After
/// any <see cref="SqliteException"/> it must be disposed and opened again: only recovery tells what the file holds.
/// </summary>
internal sealed class EmbeddedFile : IDisposable
{
    /// <summary>Answers to this many of the latest transactions are remembered for retries.</summary>
    public const int RememberedRequests = 10_000;

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly SqliteConnection _connection;

    private EmbeddedFile(SqliteConnection connection, long revision)
    {
        _connection = connection;
        Revision = revision;
    }

    public long Revision { get; private set; }
    public long SizeBytes => new FileInfo(_connection.DataSource).Length;

    /// <summary>Opens the file (after recovery, where a crash left a journal), or makes it (0600).</summary>
    /// <exception cref="StoreUnavailableException">It cannot be written, is damaged, or another process holds it; its records were not changed.</exception>
    public static EmbeddedFile Open(string file)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = file, Mode = SqliteOpenMode.ReadWrite, Pooling = false, DefaultTimeout = 2,
        }.ToString());
        try
        {
            if (!File.Exists(file))
            {
                new FileStream(file, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }).Dispose();
            }

            connection.Open();
            Execute(connection, "PRAGMA locking_mode=EXCLUSIVE");
            if (Ask(connection, "PRAGMA quick_check(1)") as string is not "ok" and var problem)
            {
                throw new StoreUnavailableException($"the store's file {file} is damaged ({problem}); restore it from a backup, it was not changed");
            }

            Execute(connection, "PRAGMA journal_mode=TRUNCATE");
            Execute(connection, "PRAGMA synchronous=FULL");
            Execute(connection,
                """
                BEGIN EXCLUSIVE;
                CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS request (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, revision INTEGER NOT NULL);
                CREATE TABLE IF NOT EXISTS store (revision INTEGER NOT NULL);
                INSERT INTO store SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM store);
                COMMIT
                """);
            return new EmbeddedFile(connection, (long)Ask(connection, "SELECT revision FROM store")!);
        }
        catch (Exception exception) when (exception is SqliteException or IOException or UnauthorizedAccessException)
        {
            connection.Dispose();
            throw new StoreUnavailableException($"the store's file {file} cannot be used: {Explain(exception)}", exception);
        }
        catch (StoreUnavailableException)
        {
            connection.Dispose();
            throw;
        }
    }

    public void Dispose() => _connection.Dispose();

    /// <exception cref="SqliteException">The file could not be read.</exception>
    public IReadOnlyList<StoreEntry> Read(string prefix)
    {
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

        return entries;
    }

    /// <summary>What an earlier attempt of the request came to, or null when none reached the file.</summary>
    public CommitResult? Remembered(Guid request) => Remembered(null, request);

    /// <summary>Applies the transaction, or finds a conflict; either is durable, with its request id, when this returns.</summary>
    /// <returns>The answer, and what changed (null: nothing).</returns>
    /// <exception cref="SqliteException">See the class.</exception>
    public (CommitResult Result, WatchBatch? Changes) Apply(Transaction transaction)
    {
        using var sql = _connection.BeginTransaction();
        if (Remembered(sql, transaction.RequestId) is { } before)
        {
            return (before, null);
        }

        foreach (var compare in transaction.Compares)
        {
            var found = Scalar(sql, "SELECT revision FROM record WHERE key = $a", compare.Key) as long? ?? 0;
            if (found != compare.ModRevision)
            {
                // Remembered too: an attempt still on its way must not succeed after 'conflict' was said.
                Remember(sql, transaction.RequestId, 0);
                sql.Commit();
                return (new CommitResult(CommitOutcome.Conflict, 0, $"{compare.Key} is at revision {found}, not {compare.ModRevision}"), null);
            }
        }

        var changes = Write(sql, transaction.Writes, Revision + 1);
        Remember(sql, transaction.RequestId, changes.Revision);
        Run(sql, "UPDATE store SET revision = $a", changes.Revision);
        sql.Commit();
        Revision = changes.Revision;
        return (new CommitResult(CommitOutcome.Committed, changes.Revision), changes);
    }

    private WatchBatch Write(SqliteTransaction sql, IReadOnlyList<Write> writes, long revision)
    {
        var entries = new List<StoreEntry>();
        var deleted = new List<string>();
        foreach (var write in writes)
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

        return new WatchBatch(revision, entries, deleted);
    }

    private CommitResult? Remembered(SqliteTransaction? sql, Guid request) =>
        Scalar(sql, "SELECT revision FROM request WHERE id = $a", request.ToString()) switch
        {
            0L => new CommitResult(CommitOutcome.Conflict, 0, "an earlier attempt of this transaction found a conflict"),
            long revision => new CommitResult(CommitOutcome.Committed, revision),
            _ => null,
        };

    private void Remember(SqliteTransaction sql, Guid request, long revision)
    {
        Run(sql, "INSERT INTO request (id, revision) VALUES ($a, $b)", request.ToString(), revision);
        Run(sql, "DELETE FROM request WHERE number <= (SELECT max(number) FROM request) - $a", RememberedRequests);
    }

    private object? Scalar(SqliteTransaction? sql, string text, params object[] values)
    {
        using var command = Prepare(sql, text, values);
        return command.ExecuteScalar();
    }

    private int Run(SqliteTransaction sql, string text, params object[] values)
    {
        using var command = Prepare(sql, text, values);
        return command.ExecuteNonQuery();
    }

#pragma warning disable CA2100 // Every text is a constant of this class.
    private SqliteCommand Prepare(SqliteTransaction? sql, string text, object[] values)
    {
        var command = _connection.CreateCommand();
        command.Transaction = sql;
        command.CommandText = text;
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters.AddWithValue($"${(char)('a' + i)}", values[i]);
        }

        return command;
    }

    private static object? Ask(SqliteConnection connection, string text)
    {
        using var command = connection.CreateCommand();
        command.CommandText = text;
        return command.ExecuteScalar();
    }
#pragma warning restore CA2100

    private static void Execute(SqliteConnection connection, string text) => Ask(connection, text);

    private static string Explain(Exception exception) => exception is SqliteException { SqliteErrorCode: 26 or 11 }
        ? $"it is damaged, or no store ({exception.Message}); restore it from a backup"
        : exception is SqliteException { SqliteErrorCode: 5 } ? "another process holds it" : exception.Message;
}

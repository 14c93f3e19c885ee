using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>The one connection that is kept to the server beside us, over its private socket; used by one at a time, each question with a deadline.</summary>
internal sealed class LocalConnection(string socketDirectory, int port) : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private readonly string _where = new NpgsqlConnectionStringBuilder
    {
        Host = socketDirectory,
        Port = port,
        Username = ServerPrograms.Superuser,
        Database = "postgres",
        ApplicationName = "evenkeel",
        Pooling = false,
        CancellationTimeout = -1,
        SslMode = SslMode.Disable,
        GssEncryptionMode = GssEncryptionMode.Disable,
        // What we write ourselves (a role) must not wait for standbys that do not exist yet.
        Options = "-c synchronous_commit=local -c lock_timeout=5s -c default_transaction_read_only=off",
    }.ConnectionString;
    // Of questions that a stopped server may answer some day; each keeps one of its connections.
    private const int MostUnanswered = 3;
    private readonly List<Task> _unanswered = [];
    private NpgsqlConnection? _link;
    private volatile bool _closed;

    /// <summary>Grows with each connection that was opened: what was learnt before may be of another server.</summary>
    public int Generation { get; private set; }

    /// <summary>All rows of the answer. After a failure the connection is given up, and the next question opens another.</summary>
    /// <exception cref="NpgsqlException">The server refuses, or is not there.</exception>
    /// <exception cref="TimeoutException">No answer in time.</exception>
    public async Task<IReadOnlyList<object?[]>> AskAsync(string question, TimeSpan limit, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(limit);
        try
        {
            await _turn.WaitAsync(deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"no answer within {limit.TotalMilliseconds:0} ms");
        }

        try
        {
            if (_closed)
            {
                throw new NpgsqlException("another server is watched now");
            }

            return await AskAsync(question, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            await DropAsync().ConfigureAwait(false);
            throw new TimeoutException($"no answer within {limit.TotalMilliseconds:0} ms");
        }
        catch (Exception failure)
        {
            if (failure is not PostgresException || _link?.State != System.Data.ConnectionState.Open)
            {
                await DropAsync().ConfigureAwait(false);
            }

            // A socket that is not there is for the caller the same as a server that is not there.
            if (failure is System.Net.Sockets.SocketException or IOException or InvalidOperationException or ObjectDisposedException)
            {
                throw new NpgsqlException(failure.Message, failure);
            }

            throw;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Who asks now is answered first; who asks later is refused.</summary>
    public async ValueTask DisposeAsync()
    {
        _closed = true;
        await _turn.WaitAsync().ConfigureAwait(false);
        await DropAsync().ConfigureAwait(false);
        _turn.Release();
    }

    private async Task<IReadOnlyList<object?[]>> AskAsync(string question, CancellationToken cancellation)
    {
        if (_link is null)
        {
            _unanswered.RemoveAll(question => question.IsCompleted);
            if (_unanswered.Count >= MostUnanswered)
            {
                throw new TimeoutException($"{_unanswered.Count} earlier questions are still unanswered");
            }

            var link = new NpgsqlConnection(_where);
            try
            {
                await link.OpenAsync(cancellation).ConfigureAwait(false);
            }
            catch
            {
                await link.DisposeAsync().ConfigureAwait(false);
                throw;
            }

            _link = link;
            Generation++;
        }

        // Npgsql does not come back from a cancelled question before the server has reacted, or for ten seconds and more: a server
        // that is stopped would stop who watches it. So the question is not cancelled but left, with its connection.
        var answer = RowsAsync(question, _link);
        try
        {
            return await answer.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!answer.IsCompleted)
        {
            _unanswered.Add(CloseAfterAsync(answer, _link));
            _link = null;
            throw;
        }
    }

    private static async Task<IReadOnlyList<object?[]>> RowsAsync(string question, NpgsqlConnection link)
    {
        await using var command = new NpgsqlCommand(question, link);
        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        var rows = new List<object?[]>();
        while (reader.FieldCount > 0 && await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
        {
            var row = new object?[reader.FieldCount];
            reader.GetValues(row!);
            rows.Add([.. row.Select(value => value is DBNull ? null : value)]);
        }

        return rows;
    }

    // Ends at the latest with the server: its sockets go with it.
    private static async Task CloseAfterAsync(Task answer, NpgsqlConnection link)
    {
        await answer.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await link.DisposeAsync().ConfigureAwait(false);
    }

    private async Task DropAsync()
    {
        if (_link is { } link)
        {
            _link = null;
            await link.DisposeAsync().ConfigureAwait(false);
        }
    }
}

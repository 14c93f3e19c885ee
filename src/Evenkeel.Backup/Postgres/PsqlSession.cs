using System.Diagnostics;

namespace Evenkeel.Backup.Postgres;

/// <summary>
/// One session of the server's own client, kept open: a backup begins and ends in the same one. <c>psql</c> rather than a
/// driver of ours, so that its ways to authenticate (peer, .pgpass, services) all work.
/// </summary>
internal sealed class PsqlSession : IAsyncDisposable
{
    private const string End = "evenkeel-end-of-answer";
    private readonly Process _process;
    private readonly Task<string> _error;

    public PsqlSession(string? connection)
    {
        var start = new ProcessStartInfo("psql", ["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--dbname", connection ?? "dbname=postgres"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            _process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new RepositoryException(RepositoryError.Unavailable, "psql is not installed; it is in the package postgresql-client", e);
        }
        _error = _process.StandardError.ReadToEndAsync();
    }

    /// <summary>Runs one statement; its output without the last line break. Fails with the server's words.</summary>
    public async Task<string> AskAsync(string statement, CancellationToken cancellation)
    {
        try
        {
            await _process.StandardInput.WriteAsync($"{statement};\n\\echo {End}\n".AsMemory(), cancellation).ConfigureAwait(false);
            await _process.StandardInput.FlushAsync(cancellation).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // psql ended, and its words below say why
        }
        var lines = new List<string>();
        while (await _process.StandardOutput.ReadLineAsync(cancellation).ConfigureAwait(false) is { } line)
        {
            if (line == End)
            {
                return string.Join('\n', lines);
            }
            lines.Add(line);
        }
        throw new RepositoryException(RepositoryError.Unavailable, $"PostgreSQL: {(await _error.ConfigureAwait(false)).Trim()}");
    }

    public async ValueTask DisposeAsync()
    {
        // End of input ends psql; the server drops a backup that was not stopped.
        _process.StandardInput.Close();
        await _process.WaitForExitAsync().ConfigureAwait(false);
        _process.Dispose();
    }
}

using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>A PostgreSQL server that archives its log into a repository, and what tests of its backups do with both. Everything runs as the user postgres.</summary>
/// <param name="programs">Where PostgreSQL's programs are.</param>
public abstract class PostgresServer(string programs) : IDisposable
{
    private readonly Workplace _place = new();
    private readonly List<string> _started = [];

    protected string Root => _place.Root;

    protected string Repository => _place.Repository;

    public void Dispose()
    {
        foreach (var data in _started)
        {
            _place.TryRun("runuser", ["-u", "postgres", "--", $"{programs}/pg_ctl", "-D", data, "-m", "immediate", "stop"]);
        }
        _place.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <param name="setting">A further line of its configuration.</param>
    protected string StartServer(string setting = "")
    {
        var data = Root + "/data";
        _place.Shell($"chmod 711 {Root}; mkdir -p {Repository}; echo '{Workplace.Password}' > {Root}/password; chown -R postgres {Root}");
        AsPostgres($"{programs}/initdb -D {data} -A trust -N --no-instructions");
        File.AppendAllText(data + "/postgresql.conf", $"""

            listen_addresses = ''
            unix_socket_directories = '{Root}'
            archive_mode = on
            archive_command = 'EVENKEEL_BACKUP_STATE={Root}/state {BackupProgram.Path} backup wal-push %p --repository {Repository} --password-file {Root}/password'
            fsync = off
            {setting}
            """);
        Start(data);
        return data;
    }

    protected void Start(string data)
    {
        _started.Add(data);
        AsPostgres($"{programs}/pg_ctl -D {data} -l {data}.log -w -t 90 start >/dev/null");
    }

    protected void StopServer(string data) => AsPostgres($"{programs}/pg_ctl -D {data} -m fast -w stop >/dev/null");

    protected string Sql(string data, string statement, string database = "postgres")
    {
        var (code, output, error) = _place.TryRun("psql", ["-U", "postgres", "-h", Root, "-XAtq", "-c", statement, database]);
        return code == 0 ? output.Trim() : throw new InvalidOperationException($"{statement}: {error}\n{File.ReadAllText(data + ".log")}");
    }

    protected void ArchiveAll(string data)
    {
        var segment = Sql(data, "SELECT pg_walfile_name(pg_switch_wal())");
        Assert.True(
            SpinWait.SpinUntil(() => string.CompareOrdinal(Sql(data, "SELECT coalesce(max(last_archived_wal), '') FROM pg_stat_archiver"), segment) >= 0, TimeSpan.FromSeconds(90)),
            $"{segment} was not archived: {File.ReadAllText(data + ".log")}");
    }

    /// <summary>What the query says on a server that recovered from the repository.</summary>
    protected string Recovered(string place, string? option = null, string? value = null, string query = "SELECT count(*) FROM t") =>
        Recovered(place, option is null ? [] : [option, value!], query);

    protected string Recovered(string place, string[] options, string query)
    {
        var data = $"{Root}/{place}";
        Assert.Contains("is ready", Evenkeel(["postgres", "restore", "--target", data, .. options]), StringComparison.Ordinal);
        Start(data);
        Assert.True(SpinWait.SpinUntil(() => Sql(data, "SELECT pg_is_in_recovery()") == "f", TimeSpan.FromSeconds(60)), "recovery does not end");
        var answer = Sql(data, query);
        StopServer(data);
        return answer;
    }

    protected string Evenkeel(params string[] arguments)
    {
        var (code, output, error) = Try(arguments);
        return code == 0 ? output : throw new InvalidOperationException($"evenkeel backup {string.Join(' ', arguments)} ended with {code}:\n{output}\n{error}");
    }

    protected (int Code, string Output, string Error) Try(params string[] arguments) => _place.TryRun("runuser",
        ["-u", "postgres", "--", BackupProgram.Path, "backup", .. arguments, "--repository", Repository]);

    protected string AsPostgres(string script) => _place.Run("runuser", ["-u", "postgres", "--", "bash", "-euc", script]);
}

using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Debian's PostgreSQL 15: base backup, archived log, and servers started at points in time.</summary>
[Trait("peer", "postgresql"), Trait("Machine", "shared")]
public sealed class PostgresTests : IDisposable
{
    private const string Programs = "/usr/lib/postgresql/15/bin";
    private readonly Workplace _place = new();
    private readonly List<string> _started = [];

    [Fact]
    public void Restore_ToANameALsnATimeAndTheEnd_HasExactlyWhatWasThereThen()
    {
        var data = StartServer();
        Evenkeel("init");
        Sql(data, "CREATE TABLE t (n int)");
        Sql(data, "INSERT INTO t SELECT generate_series(1, 50000)");
        Assert.Contains("Base backup", Evenkeel("postgres", "base", "--connection", $"host={_place.Root} dbname=postgres"), StringComparison.Ordinal);

        Sql(data, "INSERT INTO t VALUES (-1)");
        Sql(data, "SELECT pg_create_restore_point('first')");
        Sql(data, "INSERT INTO t VALUES (-2)");
        var lsn = Sql(data, "SELECT pg_current_wal_insert_lsn()");
        Sql(data, "INSERT INTO t VALUES (-3)");
        var time = Sql(data, "SELECT clock_timestamp()");
        Sql(data, "DELETE FROM t");
        Sql(data, "INSERT INTO t VALUES (42)");
        ArchiveAll(data);
        StopServer(data);

        Assert.Equal("50001", Recovered("name", "--to-name", "first"));
        Assert.Equal("50002", Recovered("lsn", "--to-lsn", lsn));
        Assert.Equal("50003", Recovered("time", "--to-time", time));
        Assert.Equal("1", Recovered("end"));

        var early = Try("postgres", "restore", "--target", _place.Root + "/early", "--to-time", "2001-01-01 00:00:00Z");
        Assert.Equal(1, early.Code);
        Assert.Contains("no base backup of 'main' is older", early.Error, StringComparison.Ordinal);
        Assert.Equal(2, Try("postgres", "restore", "--target", _place.Root + "/bad", "--to-lsn", "nonsense").Code);
        AsPostgres($"restic -r {_place.Repository} --no-cache check --read-data");
    }

    /// <summary>On the machine where the original goes on: the copy must not touch what is the original's.</summary>
    [Trait("Stage", "long")]
    [Fact]
    public void Restore_WithTablespaces_TheyLieAtPlacesOfTheirOwn()
    {
        var data = StartServer();
        Evenkeel("init");
        foreach (var name in (string[])["fast", "lar\\ge", "data/inner"])
        {
            AsPostgres($"mkdir '{_place.Root}/{name}'");
            var id = name[^2..];
            Sql(data, $"CREATE TABLESPACE s_{id} LOCATION '{_place.Root}/{name}'");
            Sql(data, $"CREATE TABLE t_{id} TABLESPACE s_{id} AS SELECT generate_series(1, 1000) AS n");
        }
        Evenkeel("postgres", "base", "--connection", $"host={_place.Root} dbname=postgres");
        Sql(data, "INSERT INTO t_st VALUES (-1)");
        Sql(data, "SELECT pg_create_restore_point('here')");
        Sql(data, "DELETE FROM t_st; DELETE FROM t_ge; DELETE FROM t_er");
        ArchiveAll(data);
        StopServer(data);

        const string question = "SELECT string_agg(n, ' ' ORDER BY n COLLATE \"C\") FROM (SELECT count(*) || '' AS n FROM t_st UNION ALL SELECT count(*) || '' FROM t_ge UNION ALL SELECT count(*) || ''  FROM t_er "
            + "UNION ALL SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname LIKE 's\\_%') AS all_of_it";
        string[] toName = ["--to-name", "here", "--tablespace-mapping", $"{_place.Root}/fast={_place.Root}/elsewhere/fast"];
        var oid = Path.GetFileName(Directory.GetFileSystemEntries($"{data}/pg_tblspc").Single(link => new FileInfo(link).LinkTarget == $"{_place.Root}/lar\\ge"));
        Assert.Equal($"{_place.Root}/copy.tablespaces/{oid} {_place.Root}/copy/inner {_place.Root}/elsewhere/fast 1000 1000 1001", Recovered("copy", toName, question));
        Start(data);
        Assert.Equal("0", Sql(data, "SELECT count(*) FROM t_st"));
        StopServer(data);

        var strange = Try("postgres", "restore", "--target", _place.Root + "/strange", "--tablespace-mapping", "/srv/none=/srv/new");
        Assert.Equal(1, strange.Code);
        Assert.Contains($"has no tablespace at /srv/none, but at {_place.Root}/fast, {_place.Root}/lar\\ge", strange.Error, StringComparison.Ordinal);
        Assert.False(Path.Exists(_place.Root + "/strange.restoring"));
        Assert.Equal(2, Try("postgres", "restore", "--target", _place.Root + "/bad", "--tablespace-mapping", "fast=slow").Code);
    }

    [Trait("Stage", "long")]
    [Fact]
    public void Forget_OldBaseBackup_TakesTheLogThatOnlyItNeeded()
    {
        var data = StartServer();
        Evenkeel("init");
        for (var round = 0; round < 2; round++)
        {
            Sql(data, $"CREATE TABLE t{round} AS SELECT generate_series(1, 20000)");
            ArchiveAll(data);
            Evenkeel("postgres", "base", "--connection", $"host={_place.Root} dbname=postgres");
        }
        Sql(data, "INSERT INTO t1 VALUES (7)");
        ArchiveAll(data);
        StopServer(data);

        var decisions = Evenkeel("forget", "--keep-last", "1", "--prune").Split('\n');
        Assert.Contains(decisions, l => l.StartsWith("remove", StringComparison.Ordinal) && l.Contains("log that no later state needs", StringComparison.Ordinal));
        Assert.Contains(decisions, l => l.StartsWith("keep", StringComparison.Ordinal) && l.Contains("needed from the oldest kept base backup on", StringComparison.Ordinal));
        Assert.Equal("20001", Recovered("after", query: "SELECT count(*) FROM t1"));
    }

    public void Dispose()
    {
        foreach (var data in _started)
        {
            _place.TryRun("runuser", ["-u", "postgres", "--", $"{Programs}/pg_ctl", "-D", data, "-m", "immediate", "stop"]);
        }
        _place.Dispose();
    }

    private string StartServer()
    {
        var data = _place.Root + "/data";
        _place.Shell($"chmod 711 {_place.Root}; mkdir {_place.Repository}; echo '{Workplace.Password}' > {_place.Root}/password; chown -R postgres {_place.Root}");
        AsPostgres($"{Programs}/initdb -D {data} -A trust -N --no-instructions");
        File.AppendAllText(data + "/postgresql.conf", $"""

            listen_addresses = ''
            unix_socket_directories = '{_place.Root}'
            archive_mode = on
            archive_command = 'EVENKEEL_BACKUP_STATE={_place.Root}/state {BackupProgram.Path} backup wal-push %p --repository {_place.Repository} --password-file {_place.Root}/password'
            fsync = off
            """);
        Start(data);
        return data;
    }

    private void Start(string data)
    {
        _started.Add(data);
        AsPostgres($"{Programs}/pg_ctl -D {data} -l {data}.log -w -t 90 start >/dev/null");
    }

    private void StopServer(string data) => AsPostgres($"{Programs}/pg_ctl -D {data} -m fast -w stop >/dev/null");

    private string Sql(string data, string statement)
    {
        var (code, output, error) = _place.TryRun("psql", ["-U", "postgres", "-h", _place.Root, "-XAtq", "-c", statement, "postgres"]);
        return code == 0 ? output.Trim() : throw new InvalidOperationException($"{statement}: {error}\n{File.ReadAllText(data + ".log")}");
    }

    private void ArchiveAll(string data)
    {
        var segment = Sql(data, "SELECT pg_walfile_name(pg_switch_wal())");
        Assert.True(
            SpinWait.SpinUntil(() => string.CompareOrdinal(Sql(data, "SELECT coalesce(max(last_archived_wal), '') FROM pg_stat_archiver"), segment) >= 0, TimeSpan.FromSeconds(90)),
            $"{segment} was not archived: {File.ReadAllText(data + ".log")}");
    }

    /// <summary>What the query says on a server that recovered from the repository.</summary>
    private string Recovered(string place, string? option = null, string? value = null, string query = "SELECT count(*) FROM t") =>
        Recovered(place, option is null ? [] : [option, value!], query);

    private string Recovered(string place, string[] options, string query)
    {
        var data = $"{_place.Root}/{place}";
        Assert.Contains("is ready", Evenkeel(["postgres", "restore", "--target", data, .. options]), StringComparison.Ordinal);
        Start(data);
        Assert.True(SpinWait.SpinUntil(() => Sql(data, "SELECT pg_is_in_recovery()") == "f", TimeSpan.FromSeconds(60)), "recovery does not end");
        var answer = Sql(data, query);
        StopServer(data);
        return answer;
    }

    private string Evenkeel(params string[] arguments)
    {
        var (code, output, error) = Try(arguments);
        return code == 0 ? output : throw new InvalidOperationException($"evenkeel backup {string.Join(' ', arguments)} ended with {code}:\n{output}\n{error}");
    }

    private (int Code, string Output, string Error) Try(params string[] arguments) => _place.TryRun("runuser",
        ["-u", "postgres", "--", BackupProgram.Path, "backup", .. arguments, "--repository", _place.Repository]);

    private string AsPostgres(string script) => _place.Run("runuser", ["-u", "postgres", "--", "bash", "-euc", script]);
}

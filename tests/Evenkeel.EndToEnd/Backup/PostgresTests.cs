using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Debian's PostgreSQL 15: base backup, archived log, and servers started at points in time.</summary>
[Trait("peer", "postgresql"), Trait("Machine", "shared")]
public sealed class PostgresTests() : PostgresServer(Programs)
{
    private const string Programs = "/usr/lib/postgresql/15/bin";

    [Fact]
    public void Restore_ToANameALsnATimeAndTheEnd_HasExactlyWhatWasThereThen()
    {
        var data = StartServer();
        Evenkeel("init");
        Sql(data, "CREATE TABLE t (n int)");
        Sql(data, "INSERT INTO t SELECT generate_series(1, 50000)");
        var made = Evenkeel("postgres", "base", "--connection", $"host={Root} dbname=postgres");
        Assert.Matches("^Base backup [0-9a-f]{8} of 'main', full: .* read, .* stored\nEverything was read: PostgreSQL 15 does not tell which blocks changed; 17 and newer do\n$", made);

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
        Assert.Contains("is ready", Evenkeel("postgres", "restore", "--target", Root + "/verified"), StringComparison.Ordinal);
        AsPostgres($"{Programs}/pg_verifybackup -w {Root}/verified.wal {Root}/verified");
        Assert.Equal("50002", Recovered("lsn", "--to-lsn", lsn));
        Assert.Equal("50003", Recovered("time", "--to-time", time));
        Assert.Equal("1", Recovered("end"));

        var early = Try("postgres", "restore", "--target", Root + "/early", "--to-time", "2001-01-01 00:00:00Z");
        Assert.Equal(1, early.Code);
        Assert.Contains("no base backup of 'main' is older", early.Error, StringComparison.Ordinal);
        Assert.Equal(2, Try("postgres", "restore", "--target", Root + "/bad", "--to-lsn", "nonsense").Code);
        AsPostgres($"restic -r {Repository} --no-cache check --read-data");
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
            AsPostgres($"mkdir '{Root}/{name}'");
            var id = name[^2..];
            Sql(data, $"CREATE TABLESPACE s_{id} LOCATION '{Root}/{name}'");
            Sql(data, $"CREATE TABLE t_{id} TABLESPACE s_{id} AS SELECT generate_series(1, 1000) AS n");
        }
        Evenkeel("postgres", "base", "--connection", $"host={Root} dbname=postgres");
        Sql(data, "INSERT INTO t_st VALUES (-1)");
        Sql(data, "SELECT pg_create_restore_point('here')");
        Sql(data, "DELETE FROM t_st; DELETE FROM t_ge; DELETE FROM t_er");
        ArchiveAll(data);
        StopServer(data);

        const string question = "SELECT string_agg(n, ' ' ORDER BY n COLLATE \"C\") FROM (SELECT count(*) || '' AS n FROM t_st UNION ALL SELECT count(*) || '' FROM t_ge UNION ALL SELECT count(*) || ''  FROM t_er "
            + "UNION ALL SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname LIKE 's\\_%') AS all_of_it";
        string[] toName = ["--to-name", "here", "--tablespace-mapping", $"{Root}/fast={Root}/elsewhere/fast"];
        var oid = Path.GetFileName(Directory.GetFileSystemEntries($"{data}/pg_tblspc").Single(link => new FileInfo(link).LinkTarget == $"{Root}/lar\\ge"));
        Assert.Equal($"{Root}/copy.tablespaces/{oid} {Root}/copy/inner {Root}/elsewhere/fast 1000 1000 1001", Recovered("copy", toName, question));
        Assert.Contains("is ready", Evenkeel("postgres", "restore", "--target", Root + "/verified"), StringComparison.Ordinal);
        AsPostgres($"{Programs}/pg_verifybackup -w {Root}/verified.wal {Root}/verified");
        Start(data);
        Assert.Equal("0", Sql(data, "SELECT count(*) FROM t_st"));
        StopServer(data);

        var strange = Try("postgres", "restore", "--target", Root + "/strange", "--tablespace-mapping", "/srv/none=/srv/new");
        Assert.Equal(1, strange.Code);
        Assert.Contains($"has no tablespace at /srv/none, but at {Root}/fast, {Root}/lar\\ge", strange.Error, StringComparison.Ordinal);
        Assert.False(Path.Exists(Root + "/strange.restoring"));
        Assert.Equal(2, Try("postgres", "restore", "--target", Root + "/bad", "--tablespace-mapping", "fast=slow").Code);
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
            Evenkeel("postgres", "base", "--connection", $"host={Root} dbname=postgres");
        }
        Sql(data, "INSERT INTO t1 VALUES (7)");
        ArchiveAll(data);
        StopServer(data);

        var decisions = Evenkeel("forget", "--keep-last", "1", "--prune").Split('\n');
        Assert.Contains(decisions, l => l.StartsWith("remove", StringComparison.Ordinal) && l.Contains("log that no later state needs", StringComparison.Ordinal));
        Assert.Contains(decisions, l => l.StartsWith("keep", StringComparison.Ordinal) && l.Contains("needed from the oldest kept base backup on", StringComparison.Ordinal));
        Assert.Equal("20001", Recovered("after", query: "SELECT count(*) FROM t1"));
    }
}

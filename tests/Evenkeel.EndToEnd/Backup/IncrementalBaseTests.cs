using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>PostgreSQL 17 says which blocks changed: base backups that read only those, and are as good as any other.</summary>
[Trait("peer", "postgresql"), Trait("Machine", "shared"), Trait("Stage", "long")]
public sealed class IncrementalBaseTests(PostgreSql17 installed) : PostgresServer(installed.Programs), IClassFixture<PostgreSql17>
{
    private const string EverythingOf = """
        SELECT string_agg(format('%s %s', name, digest), E'\n' ORDER BY name) FROM (
            SELECT relname AS name, (xpath('/row/d/text()', query_to_xml(format('SELECT count(*) || '' '' || coalesce(sum(hashtextextended(x::text, 0)), 0) AS d FROM %I x', relname), false, true, '')))[1]::text AS digest
            FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p' AND relnamespace = 'public'::regnamespace) AS tables
        """;

    [Fact]
    public void Incremental_AfterEveryKindOfChange_ReadsLittle_AndRestoresExactly()
    {
        var data = StartServer("summarize_wal = on");
        Evenkeel("init");
        AsPostgres($"mkdir {Root}/fast");
        Sql(data, $"CREATE TABLESPACE fast LOCATION '{Root}/fast'");
        Sql(data, "CREATE EXTENSION pg_visibility; CREATE EXTENSION amcheck");
        Sql(data, "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 20) AS filler FROM generate_series(1, 150000) AS n; CREATE INDEX ON big (n)");
        foreach (var name in (string[])["cut", "cut_and_grown", "emptied", "dropped", "rewritten", "inserted", "indexed"])
        {
            Sql(data, $"CREATE TABLE {name} AS SELECT n, repeat(md5(n::text), 4) AS filler FROM generate_series(1, 20000) AS n");
        }
        Sql(data, "CREATE TABLE beside TABLESPACE fast AS SELECT n, repeat(md5(n::text), 4) AS filler FROM generate_series(1, 40000) AS n");
        Sql(data, "CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS n");
        Sql(data, "CREATE DATABASE moved");
        Sql(data, "CREATE TABLE m AS SELECT n FROM generate_series(1, 20000) AS n", "moved");
        Sql(data, "VACUUM");

        var full = BackUp(out var fullRead);
        Assert.Contains("full: ", full, StringComparison.Ordinal);
        Assert.Contains("Everything was read: there is no base backup of 'main'", full, StringComparison.Ordinal);

        Sql(data, "UPDATE big SET filler = reverse(filler) WHERE n % 10000 = 7");
        Sql(data, "DELETE FROM cut WHERE n > 3000; DELETE FROM cut_and_grown WHERE n > 3000");
        Sql(data, "VACUUM cut");
        Sql(data, "VACUUM cut_and_grown");
        Sql(data, "INSERT INTO cut_and_grown SELECT n, 'new' FROM generate_series(1, 30000) AS n");
        Sql(data, "TRUNCATE emptied; INSERT INTO emptied VALUES (1, 'one')");
        Sql(data, "DROP TABLE dropped; CREATE TABLE made AS SELECT n, 'made' AS filler FROM generate_series(1, 5000) AS n");
        Sql(data, "ALTER TABLE rewritten ALTER n TYPE bigint");
        Sql(data, "INSERT INTO inserted SELECT n, 'more' FROM generate_series(1, 20000) AS n");
        Sql(data, "CREATE INDEX ON indexed (filler)");
        Sql(data, "DELETE FROM indexed WHERE n % 4000 = 5");
        Sql(data, "UPDATE beside SET filler = 'changed' WHERE n % 9000 = 11");
        // There and back: the files have the names that they had, and the log of what was done elsewhere does not name them.
        Sql(data, "ALTER DATABASE moved SET TABLESPACE fast");
        Sql(data, "UPDATE m SET n = -n WHERE n % 50 = 3", "moved");
        Sql(data, "ALTER DATABASE moved SET TABLESPACE pg_default");
        var moved = Sql(data, EverythingOf, "moved");

        var incremental = BackUp(out var incrementalRead);
        Assert.DoesNotContain("Everything was read", incremental, StringComparison.Ordinal);
        var snapshots = Snapshots();
        Assert.Equal("full", snapshots[^2].GetProperty("type").GetString());
        Assert.Equal("incremental", snapshots[^1].GetProperty("type").GetString());
        Assert.Equal(snapshots[^2].GetProperty("id").GetString(), snapshots[^1].GetProperty("parent").GetString());
        Assert.Contains($"incremental on {snapshots[^2].GetProperty("id").GetString()![..8]}", incremental, StringComparison.Ordinal);
        var (read, all) = (Bytes(snapshots[^1], "evenkeel_bytes_read"), Bytes(snapshots[^1], "total_bytes_processed"));
        TestContext.Current.TestOutputHelper!.WriteLine($"Of {all:N0} bytes {read:N0} were read; all that the processes read: {fullRead:N0} and {incrementalRead:N0}");
        Assert.InRange(read, 1, all / 4);
        // What the kernel counted: the difference is what was not read.
        Assert.InRange(incrementalRead, 1, fullRead - ((all - read) * 9 / 10));

        // On it stands another one; the first and what only it had go.
        Sql(data, "UPDATE big SET filler = 'again' WHERE n % 20000 = 9");
        Sql(data, "SELECT pg_create_restore_point('here')");
        var here = Sql(data, EverythingOf);
        Sql(data, "INSERT INTO big VALUES (-1, 'for the next')");
        Assert.Contains("incremental on", BackUp(out _), StringComparison.Ordinal);
        Sql(data, "SELECT pg_create_restore_point('later')");
        var later = Sql(data, EverythingOf);
        Assert.NotEqual(here, later);
        Sql(data, "DROP TABLE big");
        ArchiveAll(data);
        StopServer(data);

        AsPostgres($"restic -r {Repository} --no-cache check --read-data");
        Verified("between", "--snapshot", snapshots[^1].GetProperty("id").GetString()!, "--to-name", "here");
        var copy = Recover("between");
        Assert.Equal(here, Sql(copy, EverythingOf));
        StopServer(copy);

        Evenkeel("forget", "--keep-last", "1", "--prune");
        Assert.Single(Snapshots());
        Evenkeel("verify", "--all");
        Verified("last", "--to-name", "later");
        copy = Recover("last");
        Assert.Equal(later, Sql(copy, EverythingOf));
        Assert.Equal(moved, Sql(copy, EverythingOf, "moved"));
        AsPostgres($"{installed.Programs}/pg_amcheck -h {Root} -U postgres --all --install-missing --heapallindexed --rootdescend");
        Assert.Equal("", Sql(copy, "SELECT c.oid::regclass FROM pg_class c, LATERAL pg_check_visible(c.oid) WHERE relkind IN ('r', 't', 'm') AND relpersistence = 'p'"));
        StopServer(copy);
    }

    /// <summary>The manifest is right enough for the server itself to build on: its own incremental backup of a restored one.</summary>
    [Fact]
    public void Manifest_OfARestoredBackup_IsWhatPostgresItselfBuildsOn()
    {
        var data = StartServer("summarize_wal = on");
        Evenkeel("init");
        Sql(data, "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 20) AS filler FROM generate_series(1, 50000) AS n");
        BackUp(out _);
        Sql(data, "UPDATE big SET filler = reverse(filler) WHERE n % 5000 = 7");
        var answer = DoJob(BackupTask.Incremental);
        Assert.True(answer.Good, answer.Words);
        Assert.Contains("incremental base backup ", answer.Words, StringComparison.Ordinal);
        Assert.Contains($" read, on {Snapshots()[0].GetProperty("id").GetString()![..8]}", answer.Words, StringComparison.Ordinal);
        Sql(data, "UPDATE big SET filler = 'again' WHERE n % 7000 = 9");
        var now = Sql(data, EverythingOf);
        ArchiveAll(data);

        AsPostgres($"restic -r {Repository} --no-cache restore {Snapshots()[^1].GetProperty("id").GetString()} --target {Root}/plain");
        var plain = $"{Root}/plain{data}";
        AsPostgres($"chmod 700 {plain}; {installed.Programs}/pg_verifybackup -n {plain}; {installed.Programs}/pg_basebackup -h {Root} -U postgres -D {Root}/theirs -c fast --incremental={plain}/backup_manifest");
        AsPostgres($"{installed.Programs}/pg_combinebackup {plain} {Root}/theirs -o {Root}/combined; {installed.Programs}/pg_verifybackup {Root}/combined");
        StopServer(data);
        File.AppendAllText($"{Root}/combined/postgresql.auto.conf", "archive_mode = off\n");
        Start(Root + "/combined");
        Assert.Equal(now, Sql(Root + "/combined", EverythingOf));
        StopServer(Root + "/combined");

        // One byte less is found.
        Verified("copy");
        AsPostgres($"truncate -s -1 {Root}/copy/PG_VERSION; ! {installed.Programs}/pg_verifybackup -n {Root}/copy");
    }

    [Fact]
    public void Incremental_WhereItIsNotPossible_ReadsEverythingAndSaysWhy()
    {
        var data = StartServer("summarize_wal = off");
        Evenkeel("init");
        Sql(data, "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) AS n");
        WhyFull("summarize_wal is off");
        Sql(data, "ALTER SYSTEM SET summarize_wal = on");
        Sql(data, "SELECT pg_reload_conf()");
        // It cannot summarize what went before, where the log is gone; here it still is there.
        Sql(data, "INSERT INTO t VALUES (-1)");
        Sql(data, "CHECKPOINT");
        Assert.True(SpinWait.SpinUntil(() => Sql(data, "SELECT count(*) > 0 FROM pg_available_wal_summaries()") == "t", TimeSpan.FromSeconds(60)));
        Assert.Contains("incremental on", BackUp(out _), StringComparison.Ordinal);
        var full = BackUp(out _, "--type", "full");
        Assert.Contains("full: ", full, StringComparison.Ordinal);
        Assert.DoesNotContain("Everything was read", full, StringComparison.Ordinal);
        Assert.Contains("incremental on", BackUp(out _), StringComparison.Ordinal);
        Assert.Contains($"differential on {Snapshots()[^2].GetProperty("id").GetString()![..8]}", BackUp(out _, "--type", "differential"), StringComparison.Ordinal);

        Sql(data, "INSERT INTO t VALUES (-3)");
        Sql(data, "CHECKPOINT");
        Assert.True(SpinWait.SpinUntil(() => Sql(data, "SELECT max(end_lsn) >= (SELECT redo_lsn FROM pg_control_checkpoint()) FROM pg_available_wal_summaries()") == "t", TimeSpan.FromSeconds(60)));
        AsPostgres($"rm {data}/pg_wal/summaries/*");
        WhyFull("the server has no summary of its log from ");
        Assert.Contains("incremental on", BackUp(out _), StringComparison.Ordinal);

        // Every page is written anew, and the log does not tell.
        StopServer(data);
        AsPostgres($"{installed.Programs}/pg_checksums --enable -D {data}");
        Start(data);
        WhyFull("data_checksums was off, and now it is on");
        Assert.Contains("incremental on", BackUp(out _), StringComparison.Ordinal);

        // A standby takes over: another timeline.
        StopServer(data);
        AsPostgres($"touch {data}/standby.signal");
        Start(data);
        AsPostgres($"{installed.Programs}/pg_ctl -D {data} -w promote >/dev/null");
        WhyFull("was made on timeline 1, and the server is on 2");
        Sql(data, "INSERT INTO t VALUES (-2)");
        Assert.Contains("incremental on", BackUp(out _), StringComparison.Ordinal);
        Sql(data, "INSERT INTO t VALUES (-4)");
        ArchiveAll(data);
        StopServer(data);
        Assert.Equal("1004", Recovered("after", query: "SELECT count(*) FROM t"));

        // Another server at the same place.
        AsPostgres($"mv {data} {data}.first");
        StartServer("summarize_wal = on");
        WhyFull("is of another server: its system identifier is ");
        Assert.Equal(2, Try("postgres", "base", "--type", "independent").Code);
    }

    /// <summary>A cluster backs up on a standby first, which summarizes for itself and begins a backup at its last checkpoint, however long ago that was.</summary>
    [Fact]
    public void Incremental_OfAStandby_ReadsLittle_AndRestoresExactly()
    {
        var data = StartServer("summarize_wal = on");
        Evenkeel("init");
        Sql(data, "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 20) AS filler FROM generate_series(1, 50000) AS n");
        Sql(data, "VACUUM");
        var standby = Root + "/standby";
        AsPostgres($"{installed.Programs}/pg_basebackup -h {Root} -U postgres -D {standby} -R -c fast; echo port = 5433 >> {standby}/postgresql.auto.conf");
        Start(standby);
        string[] there = ["--connection", $"'host={Root} dbname=postgres port=5433'"];
        Sql(data, "UPDATE big SET filler = 'before' WHERE n = 1");
        Assert.Contains("full: ", BackUpOfStandby(), StringComparison.Ordinal);
        Assert.Contains("as on a standby without a checkpoint since", BackUpOfStandby(), StringComparison.Ordinal);

        Sql(data, "UPDATE big SET filler = reverse(filler) WHERE n % 5000 = 7");
        var now = Sql(data, EverythingOf);
        Checkpoint();
        var incremental = BackUpOfStandby();
        Assert.Contains("incremental on", incremental, StringComparison.Ordinal);
        Assert.InRange(Bytes(Snapshots()[^1], "evenkeel_bytes_read"), 1, Bytes(Snapshots()[^1], "total_bytes_processed") / 2);
        ArchiveAll(data);
        StopServer(standby);
        StopServer(data);
        Verified("copy");
        File.AppendAllText($"{Root}/copy/postgresql.auto.conf", "port = 5432\n");
        Assert.Equal(now, Sql(Recover("copy"), EverythingOf));

        string BackUpOfStandby() => BackUp(there, out _);

        // What it has replayed up to the primary's checkpoint, it makes its own.
        void Checkpoint()
        {
            Sql(data, "CHECKPOINT");
            var position = Sql(data, "SELECT pg_current_wal_lsn()");
            var ask = $"psql -U postgres -h {Root} -p 5433 -XAtqc";
            Assert.True(SpinWait.SpinUntil(() => AsPostgres($"{ask} \"SELECT pg_last_wal_replay_lsn() >= '{position}'\" postgres").Trim() == "t", TimeSpan.FromSeconds(60)));
            AsPostgres($"{ask} CHECKPOINT postgres");
        }
    }

    /// <summary>A server that has little rights, whose summaries cannot be asked for, is backed up all the same.</summary>
    [Fact]
    public void Incremental_WhereTheServerRefusesItsSummaries_ReadsEverything()
    {
        var data = StartServer("summarize_wal = on");
        Evenkeel("init");
        Sql(data, "CREATE ROLE backup LOGIN; GRANT pg_read_all_settings TO backup; GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO backup");
        var connection = $"host={Root} dbname=postgres user=backup";
        Evenkeel("postgres", "base", "--connection", connection);
        Sql(data, "REVOKE EXECUTE ON FUNCTION pg_wal_summary_contents FROM PUBLIC");
        var answer = Evenkeel("postgres", "base", "--connection", connection);
        Assert.Contains("Everything was read: the server's summaries of its log could not be read: PostgreSQL: ERROR:  permission denied for function", answer, StringComparison.Ordinal);
        StopServer(data);
        Verified("copy");
    }

    private string BackUp(out long bytesRead, params string[] options) => BackUp(["--connection", $"'host={Root} dbname=postgres'", .. options], out bytesRead);

    private string BackUp(string[] options, out long bytesRead)
    {
        var words = string.Join(' ', (string[])[BackupProgram.Path, "backup", "postgres", "base", "--repository", Repository, .. options]);
        // The kernel adds what a child read to its parent's account once it has waited for it.
        var output = AsPostgres($"{words}; grep rchar /proc/$$/io").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        bytesRead = long.Parse(output[^1].Split(' ')[1], CultureInfo.InvariantCulture);
        return string.Join('\n', output[..^1]);
    }

    /// <summary>A cluster's job as its agent has it done.</summary>
    private BackupAnswer DoJob(BackupTask task)
    {
        var spec = new BackupSpec { Name = "db", Service = "db", Repository = new BackupPlace(Repository, Root + "/password"), Schedules = new Dictionary<BackupTask, string> { [task] = "daily" } };
        var order = JsonSerializer.Serialize(new BackupOrder(spec, task, "c", new NodeName("n1"), "main", Root, $"host={Root} dbname=postgres"), BackupOrderJson.Default.BackupOrder);
        File.WriteAllText(Root + "/order", order + "\n");
        // Its standard input is what it is held by: a line now and then, until nobody reads it any more.
        var output = AsPostgres($"{{ cat {Root}/order; while echo; do sleep 1; done; }} 2>/dev/null | {BackupProgram.Path} backup job");
        return JsonSerializer.Deserialize(output.TrimEnd().Split('\n')[^1], BackupOrderJson.Default.BackupAnswer)!;
    }

    private void WhyFull(string reason)
    {
        var answer = BackUp(out _);
        Assert.Contains("full: ", answer, StringComparison.Ordinal);
        Assert.Contains("Everything was read: ", answer, StringComparison.Ordinal);
        Assert.Contains(reason, answer, StringComparison.Ordinal);
    }

    /// <summary>Restores, and has PostgreSQL's own program look at it before a server does.</summary>
    private void Verified(string place, params string[] options)
    {
        Assert.Contains("is ready", Evenkeel(["postgres", "restore", "--target", $"{Root}/{place}", .. options]), StringComparison.Ordinal);
        Assert.Contains("successfully verified", AsPostgres($"{installed.Programs}/pg_verifybackup -w {Root}/{place}.wal {Root}/{place}"), StringComparison.Ordinal);
    }

    /// <summary>Starts a server on a restored directory, in the place of the one before.</summary>
    private string Recover(string place)
    {
        var data = $"{Root}/{place}";
        Start(data);
        Assert.True(SpinWait.SpinUntil(() => Sql(data, "SELECT pg_is_in_recovery()") == "f", TimeSpan.FromSeconds(60)), "recovery does not end");
        return data;
    }

    /// <summary>The base backups, oldest first.</summary>
    private List<JsonElement> Snapshots() => [.. JsonDocument.Parse(Evenkeel("list", "--output", "json")).RootElement.EnumerateArray()
        .Where(s => s.GetProperty("tags").EnumerateArray().Any(t => t.GetString()!.StartsWith("wal-start=", StringComparison.Ordinal)))];

    private static long Bytes(JsonElement snapshot, string name) => snapshot.GetProperty("summary").GetProperty(name).GetInt64();
}

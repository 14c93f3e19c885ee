using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ledger;
using Evenkeel.Services.PostgreSql;
using Npgsql;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>Debian's PostgreSQL 15 through the driver, as a controller would order it.</summary>
[Trait("peer", "postgresql")]
[Trait("needs", "root")]
[Trait("Machine", "shared")]
public sealed class DriverTests(ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static void Good(Core.Loop.Ports.ActionResult result) => DatabaseCluster.Good(result);

    [Fact]
    public async Task Promote_AfterThePrimaryWasKilledUnderLoad_LosesNoAcknowledgedWriteAndTheOldOneRejoins()
    {
        await using var cluster = new DatabaseCluster(1, 2);
        await cluster.Begin();
        var (first, second) = (cluster[1], cluster[2]);
        await WriteLedger.PrepareAsync(first.Connection, Token);
        var primary = first;
        var ledger = new WriteLedger(() => primary.Connection, "a", TimeSpan.FromSeconds(2));
        using var stop = new CancellationTokenSource();
        var writing = ledger.RunAsync(stop.Token);
        await Acknowledged(ledger, 100);

        first.KillTree();
        await first.Until(facts => facts.Status == InstanceStatus.Failed && facts.ProcessId is null, "failed");
        var watch = Stopwatch.StartNew();
        Good(await second.Promote(2));
        output.WriteLine($"promoted in {watch.ElapsedMilliseconds} ms");
        Assert.Equal(new Epoch(1, 2), second.Facts.Epoch);
        primary = second;
        var before = ledger.Entries.Count(entry => entry.Outcome == WriteOutcome.Acknowledged);
        await Acknowledged(ledger, before + 100);
        Assert.Equal(InstanceStatus.Failed, first.Facts.Status); // No primary comes back by itself.

        Good(await first.Follow(second, 2));
        Assert.Equal(2, (await first.Streams()).Replication!.Timeline);
        Assert.False(first.Told(facts => facts.Detail.Contains("copying", StringComparison.Ordinal)), "it was copied, not rewound");
        await DatabaseCluster.Require(second, 2, [first]);
        await stop.CancelAsync();
        await writing;
        await Verdict(ledger, second);

        // Epochs only grow.
        Assert.Contains("has seen epoch 1.2", (await first.Promote(1)).Reason, StringComparison.Ordinal);
        Assert.True((bool)(await first.Ask("SELECT pg_is_in_recovery()"))!);
    }

    [Fact]
    public async Task Switchover_UnderLoadWithAnAgentRestarted_LosesNothingAndRestartsNoServer()
    {
        await using var cluster = new DatabaseCluster(2, 2, certificates: true);
        await cluster.Begin();
        var (first, second) = (cluster[1], cluster[2]);

        // The restarted agent finds both servers and leaves them running.
        var (process, launches) = (first.Facts.ProcessId, first.Launches);
        await first.RestartAgent();
        Assert.Equal(process, first.Facts.ProcessId);
        Good(await first.Primary(1, [second]));
        Assert.Equal(new Epoch(1, 1), (await first.Until(facts => facts.Epoch is not null && facts.Health == Health.Healthy, "adopted")).Epoch);
        Assert.Equal(launches, first.Launches);

        await WriteLedger.PrepareAsync(first.Connection, Token);
        var primary = first;
        var ledger = new WriteLedger(() => primary.Connection, "b", TimeSpan.FromSeconds(2));
        using var stop = new CancellationTokenSource();
        var writing = ledger.RunAsync(stop.Token);
        await Acknowledged(ledger, 50);
        Good(await first.Demote());
        var watch = Stopwatch.StartNew();
        Good(await second.Promote(2));
        output.WriteLine($"promoted in {watch.ElapsedMilliseconds} ms");
        primary = second;
        Good(await first.Follow(second, 2));
        await first.Streams();
        await Acknowledged(ledger, ledger.Entries.Count(entry => entry.Outcome == WriteOutcome.Acknowledged) + 50);
        await stop.CancelAsync();
        await writing;
        await Verdict(ledger, second);
        // What was closed in order has nothing that the new primary lacks.
        Assert.False(first.Told(facts => facts.Detail.Contains("rew", StringComparison.Ordinal) || facts.Detail.Contains("copying", StringComparison.Ordinal)));
        // Without a certificate nobody replicates, whatever the user's lines allow.
        var refused = await Assert.ThrowsAnyAsync<NpgsqlException>(async () =>
        {
            await using var link = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(second.Connection) { Username = "evenkeel_replication", SslMode = SslMode.Disable }.ConnectionString);
            await link.OpenAsync(Token);
        });
        Assert.Contains("pg_hba.conf rejects", refused.Message, StringComparison.Ordinal);
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task Certificates_OfAnotherAuthority_AreTakenUpWhileReplicationAndItsWritersGoOn()
    {
        await using var cluster = new DatabaseCluster(9, 2, certificates: true);
        await cluster.Begin();
        var (primary, standby) = (cluster[1], cluster[2]);
        var (launched, followed) = (primary.Launches, standby.Launches);
        await WriteLedger.PrepareAsync(primary.Connection, Token);
        var ledger = new WriteLedger(() => primary.Connection, "c", TimeSpan.FromSeconds(2));
        using var stop = new CancellationTokenSource();
        var writing = ledger.RunAsync(stop.Token);
        foreach (var phase in (int[])[1, 2, 3])
        {
            cluster.ChangeAuthority(phase);
            foreach (var node in cluster.Nodes)
            {
                var expected = await File.ReadAllTextAsync(Path.Combine(cluster.Root, node.Name.Value, "tls", phase == 2 ? "node.crt" : "ca.crt"), Token);
                await ReadsAsync(node, phase == 2 ? "ssl_cert_file" : "ssl_ca_file", expected);
            }

            // Connections that stand go on; this makes new ones, which show and judge the new certificates.
            await primary.Ask("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
            await standby.Streams();
            await Acknowledged(ledger, ledger.Entries.Count(entry => entry.Outcome == WriteOutcome.Acknowledged) + 50);
        }

        await stop.CancelAsync();
        await writing;
        Assert.DoesNotContain(ledger.Entries, entry => entry.Outcome != WriteOutcome.Acknowledged);
        Assert.Equal((launched, followed), (primary.Launches, standby.Launches));
        await Verdict(ledger, primary);
    }

    [Fact]
    public async Task Node_TakenOutWhileItsCertificateIsGood_IsLetInNoMore()
    {
        await using var cluster = new DatabaseCluster(11, 2, certificates: true);
        await cluster.Begin(required: false);
        var (primary, removed) = (cluster[1], cluster[2]);
        var settings = UpstreamConnection.ForQuestions(new Upstream(primary.Name, new PrivateEndpoint(primary.Address, DatabaseCluster.Port), new Epoch(1, 1)), cluster.TlsOf(removed));
        await KnockAsync(settings);

        cluster.Removed.Add(removed.Name);
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(50, Token))
        {
            try
            {
                await KnockAsync(settings);
            }
            catch (PostgresException refused)
            {
                Assert.Equal("28000", refused.SqlState); // invalid_authorization_specification
                break;
            }

            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), "it is still let in");
        }

        // A new server of its name is.
        cluster.Removed.Clear();
        await removed.Streams();
    }

    private static async Task KnockAsync(string settings)
    {
        await using var connection = new NpgsqlConnection(settings);
        await connection.OpenAsync(Token);
    }

    /// <summary>The server has loaded its configuration after its file had become this.</summary>
    private static async Task ReadsAsync(DatabaseNode node, string setting, string expected)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(50, Token))
        {
            var file = (string)(await node.Ask($"SELECT setting FROM pg_settings WHERE name = '{setting}'"))!;
            if (await File.ReadAllTextAsync(file, Token) == expected
                && (DateTime)(await node.Ask("SELECT pg_conf_load_time()"))! >= File.GetLastWriteTimeUtc(file).AddMilliseconds(-1))
            {
                return;
            }

            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), $"{node.Name} did not take up its new {setting}");
        }
    }

    [Fact]
    public async Task Copy_ThatLacksLogAndStartedWithNobodyToFollow_ComesUpOnceItIsToldOfAnUpstream()
    {
        await using var cluster = new DatabaseCluster(3, 2);
        await cluster.BeginAlone();
        var (first, second) = (cluster[1], cluster[2]);
        await CopyWithoutLog(first, second);

        await Silent(second);
        Good(await second.Follow(first));
        await second.Streams();
        Assert.Equal(1, second.Launches);
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task Copy_ThatNeedsLogOfNoHistory_IsCopiedAnew()
    {
        await using var cluster = new DatabaseCluster(4, 3);
        await cluster.Begin(required: false);
        var (first, second, third) = (cluster[1], cluster[2], cluster[3]);
        Good(await third.Stop());
        Directory.Delete(third.Data, recursive: true);
        // What the copy needs to be whole is written after the next primary has heard its last.
        Good(await second.Stop());
        await first.Ask("SELECT pg_switch_wal()");
        await first.Ask("CREATE TABLE later AS SELECT generate_series(1, 1000)");
        await CopyWithoutLog(first, third);
        await Silent(third);
        first.KillTree();
        await first.Until(facts => facts.ProcessId is null, "ended");
        Good(await second.Follow(null));
        await second.Until(facts => facts.Health == Health.Healthy, "a standby again");
        Good(await second.Promote(2));

        Good(await third.Follow(second, 2));
        Assert.Equal(2, (await third.Streams()).Replication!.Timeline);
        Assert.True(third.Told(facts => facts.Detail.Contains("copying all data from n-2", StringComparison.Ordinal)));
    }

    /// <summary>
    /// Which of two standbys has more is told by timeline first: one that went along with a promotion must not seem to be of before it,
    /// when nobody sends it anything any more.
    /// </summary>
    [Fact]
    public async Task Standby_ThatWentAlongWithAPromotion_KnowsItsTimelineWithoutAnUpstream()
    {
        await using var cluster = new DatabaseCluster(10, 3);
        await cluster.Begin(required: false);
        var (first, second, third) = (cluster[1], cluster[2], cluster[3]);
        await first.Stop();
        Good(await second.Promote(2));
        Good(await third.Follow(second, 2));
        await third.Until(facts => facts.Replication is { Streaming: true, Timeline: 2 }, "along");
        await second.Ask("CREATE TABLE later AS SELECT generate_series(1, 10)");
        var end = long.Parse((string)(await second.Ask("SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::text"))!, CultureInfo.InvariantCulture);
        await third.Until(facts => facts.Position >= end, "at the end");
        Assert.Equal(1, await third.Ask("SELECT greatest(c.timeline_id, m.min_recovery_end_timeline) FROM pg_control_checkpoint() c, pg_control_recovery() m"));

        Good(await third.Follow(null));
        var detached = await third.Until(facts => facts.Replication is { Upstream: null, Streaming: false }, "detached");
        Assert.Equal(2, detached.Replication!.Timeline);
        Assert.True(detached.Position >= end);
    }

    /// <summary>
    /// Its control file knows the last checkpoint only. Were that told while it starts as a standby, a standby that lacks more than the limit would
    /// pass for one that lacks nothing, and be promoted.
    /// </summary>
    [Fact]
    public async Task Primary_ThatCrashedAndStartsAsAStandby_NeverSaysThatItHasLessThanItHas()
    {
        await using var cluster = new DatabaseCluster(18, 2);
        await cluster.BeginAlone();
        var first = cluster[1];
        await first.Ask("CHECKPOINT");
        await first.Ask("CREATE TABLE much AS SELECT repeat(md5(i::text), 8) FROM generate_series(1, 20000) i");
        var end = long.Parse((string)(await first.Ask("SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::text"))!, CultureInfo.InvariantCulture);
        first.KillTree();
        await first.Until(facts => facts.Status != InstanceStatus.Running, "ended");
        await first.RestartAgent();
        first.ForgetTold();
        Good(await first.Look());
        Good(await first.Follow(null));
        await first.Until(facts => facts is { Health: Health.Healthy, Epoch: null }, "a standby");
        Assert.False(first.Told(facts => facts.Position < end));
        Assert.True(first.Told(facts => facts is { Status: InstanceStatus.Starting, Position: not null }));
        Good(await first.Promote(2));
        Assert.Equal(20000L, await first.Ask("SELECT count(*) FROM much"));
    }

    /// <summary>What ALTER SYSTEM writes outranks our files: commits would not wait any more for who counts as having everything.</summary>
    [Trait("Stage", "long")]
    [Fact]
    public async Task AlterSystem_OfWhatTheClusterDecides_IsResetAndProvesNobodyMeanwhile()
    {
        await using var cluster = new DatabaseCluster(11, 2, parameters: new() { ["archive_mode"] = "on", ["archive_command"] = "true" });
        await cluster.Begin();
        var (first, second) = (cluster[1], cluster[2]);
        foreach (var (name, value) in ((string, string)[])[("synchronous_standby_names", ""), ("synchronous_commit", "local")])
        {
            await first.Ask($"ALTER SYSTEM SET {name} = '{value}'");
            await first.Ask("SELECT pg_reload_conf()");
            await first.Until(facts => facts.Replication is { Required: [], Synchronous: [] } && facts.Detail.Contains(name, StringComparison.Ordinal), "not waiting");
            await first.Until(facts => facts.Replication!.Synchronous.Contains(second.Name), "synchronous again");
            Assert.DoesNotContain(name, await File.ReadAllTextAsync(Path.Combine(first.Data, AlteredSettings.FileName), Token), StringComparison.Ordinal);
        }

        Assert.Equal("FIRST 1 (\"n-2\")", await first.Ask("SHOW synchronous_standby_names"));
        Assert.Equal("on", await first.Ask("SHOW synchronous_commit"));

        // As pg_basebackup -R and a restore leave it.
        Good(await second.Stop());
        await File.AppendAllTextAsync(Path.Combine(second.Data, AlteredSettings.FileName), "primary_conninfo = 'host=127.0.0.9'\narchive_mode = 'off'\nwork_mem = '5MB'\n", Token);
        Good(await second.Follow(first));
        await second.Streams();
        Assert.Equal("work_mem = '5MB'", (await File.ReadAllLinesAsync(Path.Combine(second.Data, AlteredSettings.FileName), Token))[^1]);
        Assert.Equal("on", await second.Ask("SHOW archive_mode"));
    }

    [Fact]
    public async Task Cold_DataThatMissedAnEpoch_IsRestoredOrRefusedAndNeverStarted()
    {
        await using var cluster = new DatabaseCluster(12, 1);
        var node = cluster[1];
        Good(await node.Look());
        Assert.Equal(new Core.Model.ReplicationFacts(), node.Facts.Replication);
        await cluster.BeginAlone();
        await node.Ask("CREATE TABLE mine AS SELECT 1 AS one");
        var position = node.Facts.Position;
        node.KillTree();
        await node.Until(facts => facts.ProcessId is null, "ended");
        Good(await node.Look());
        Assert.Equal(cluster.Data, node.Facts.Replication!.Data);
        Assert.True(node.Facts.Position >= position, "a crashed primary has all of its log");

        var refused = await node.Primary(3, wrote: 2);
        Assert.Contains("lacks what was written under epoch 1.2 on another node (it has seen 1.1)", refused.Reason, StringComparison.Ordinal);
        Assert.Null(node.Facts.ProcessId);

        var backup = Path.Combine(cluster.Root, "backup");
        Assert.Equal(0, (await Tool.RunAsync(["cp", "-a", node.Data, backup], null, TimeSpan.FromSeconds(60), Token)).Code);
        node.Restore = ["cp", "-a", backup + "/.", "{data}"];
        Good(await node.Primary(3, wrote: 2));
        Assert.True(Directory.Exists(node.Data + ".aside"));
        Assert.Equal(1, await node.Ask("SELECT one FROM mine"));
        Assert.Equal(2, (await node.Until(facts => facts.Epoch == new Epoch(1, 3), "primary")).Replication!.Timeline);

        // Another was active again, and there is one such directory already.
        Good(await node.Stop());
        refused = await node.Primary(5, wrote: 4);
        Assert.Contains($"echo 1.4 > {node.Data}/evenkeel.epoch", refused.Reason, StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(node.Data, "evenkeel.epoch"), "1.4\n", Token);
        Good(await node.Primary(5, wrote: 4));
    }

    [Fact]
    public async Task Primary_OverADirectoryThatWasThereBefore_IsAdoptedWithItsRows_AndCopiedToOthers()
    {
        await using var cluster = new DatabaseCluster(13, 2);
        var (first, second) = (cluster[1], cluster[2]);
        var (user, found) = await ServerUser.FindAsync("postgres", Token);
        Good(found);
        var binaries = Binaries.Find(null, null)!;
        Directory.CreateDirectory(first.Data);
        user!.Own(first.Data);
        async Task ByHand(params string[] words) => Assert.Equal(0, (await Tool.RunAsync(words, user, TimeSpan.FromSeconds(60), Token)).Code);
        await ByHand(Path.Combine(binaries, "initdb"), "--no-sync", "-A", "trust", "-D", first.Data);
        await ByHand("sh", "-c", $"echo 'CREATE TABLE mine AS SELECT 42 AS answer' | {binaries}/postgres --single -D {first.Data} postgres");

        Good(await first.Look());
        var system = first.Facts.Replication!.Data;
        Assert.NotNull(system);
        await cluster.BeginAlone();
        Assert.Equal(system, cluster.Data);
        Assert.Equal(42, await first.Ask("SELECT answer FROM mine"));
        Good(await second.Follow(first));
        await second.Streams();
        Assert.Equal(42, await second.Ask("SELECT answer FROM mine"));
    }

    /// <summary>A program that a session runs waits for a disk that does not answer: nobody can end that, and so the server has not ended.</summary>
    [Trait("Stage", "long")]
    [Fact]
    public async Task Stop_WhileAProcessOfItCannotBeKilled_IsStuckUntilThatHasEnded()
    {
        await using var disk = await Lab.HungDisk.MountAsync(Token);
        await using var cluster = new DatabaseCluster(14, 1);
        var node = cluster[1];
        node.StopTimeout = TimeSpan.FromSeconds(1);
        await cluster.BeginAlone();
        var asked = node.Ask($"COPY (SELECT 1) TO PROGRAM '{disk.Read}'");
        for (var until = DateTime.UtcNow.AddSeconds(20); !Process.GetProcessesByName("dd").Any(reader => File.ReadAllText($"/proc/{reader.Id}/cmdline").Contains(disk.File, StringComparison.Ordinal)); await Task.Delay(20, Token))
            Assert.True(DateTime.UtcNow < until && !asked.IsCompleted, "nobody reads the disk");

        Assert.False((await node.Stop()).Succeeded);
        Assert.Equal(InstanceStatus.Stuck, node.Facts.Status);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => asked);
        // Told again it is still so, and is no moment anything else.
        Assert.False((await node.Stop()).Succeeded);
        Assert.False(node.Told(facts => facts.Status == InstanceStatus.Stopped));
        disk.LetGo();
        await node.Until(facts => facts is { Status: InstanceStatus.Stopped, ProcessId: null }, "stopped");
        Good(await node.Stop());
    }

    /// <summary>It runs, and can answer nobody until it gets more log.</summary>
    private static async Task Silent(DatabaseNode node)
    {
        Good(await node.Follow(null));
        await node.Until(facts => facts is { Status: InstanceStatus.Starting, ProcessId: not null } && node.Log().Contains("waiting for WAL", StringComparison.Ordinal), "waiting");
        Assert.Equal("57P03", (await Assert.ThrowsAsync<PostgresException>(() => node.Ask("SELECT 1"))).SqlState); // cannot_connect_now
    }

    private static async Task CopyWithoutLog(DatabaseNode from, DatabaseNode to)
    {
        var (user, found) = await ServerUser.FindAsync("postgres", Token);
        Good(found);
        Directory.CreateDirectory(to.Data);
        user!.Own(to.Data);
        File.SetUnixFileMode(to.Data, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var copied = await Tool.RunAsync(
            [Path.Combine(Binaries.Find(null, null)!, "pg_basebackup"), "-D", to.Data, "-h", from.Address.ToString(), "-p", $"{DatabaseCluster.Port}", "-U", HostAccess.Role, "-X", "none", "--checkpoint=fast"],
            user, TimeSpan.FromSeconds(60), Token);
        Assert.True(copied.Code == 0, copied.Complaint);
    }

    private static async Task Acknowledged(WriteLedger ledger, int count)
    {
        var until = DateTime.UtcNow + TimeSpan.FromSeconds(40);
        while (ledger.Entries.Count(entry => entry.Outcome == WriteOutcome.Acknowledged) < count)
        {
            Assert.True(DateTime.UtcNow < until, "writes are not acknowledged");
            await Task.Delay(10, Token);
        }
    }

    private async Task Verdict(WriteLedger ledger, DatabaseNode node)
    {
        var verdict = await ledger.VerifyAsync(node.Connection, Token);
        output.WriteLine(verdict.ToString());
        Safety.NothingIsLost(verdict);
    }
}

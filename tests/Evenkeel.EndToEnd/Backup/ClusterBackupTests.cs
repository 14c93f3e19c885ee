using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>The cluster backs itself up: on a standby, by one node at a time, again elsewhere when that one is lost, and later when it was down.</summary>
[Trait("peer", "postgresql")]
[Trait("Machine", "shared")]
public sealed class ClusterBackupTests(BackupLab lab) : IClassFixture<BackupLab>
{
    private const string Programs = "/usr/lib/postgresql/15/bin";
    private static readonly NodeName n1 = new("n1");
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task Database_IsBackedUpOnAStandby_AndTheBackupIsAServer()
    {
        await SqlAsync("CREATE TABLE t AS SELECT generate_series(1, 20000) AS n");
        var before = await lab.UntilAsync("db-backup", job => job.Running is null, Soon);
        await lab.NowAsync("db-backup", "full", n1);
        var done = await lab.UntilAsync("db-backup", job => job.Last != before.Last && job.Running is null, 2 * Soon);
        Assert.True(done.Last!.Good, done.Last.Words);
        var primary = (await lab.StatusAsync()).Services.Single().Instances.Single(instance => instance.Active).Node;
        Assert.NotEqual(primary, done.Last.Node);
        Assert.True(done.LastGood is { BytesRead: > 1_000_000, Snapshot.Length: 64 });

        // What comes after the base backup is in the archived log.
        await SqlAsync("INSERT INTO t SELECT generate_series(1, 5)");
        var segment = (await SqlAsync("SELECT pg_walfile_name(pg_switch_wal())")).Trim();
        await ArchivedAsync(segment);
        var target = $"{lab.Root}/restored";
        await SystemCommand.RunAsync(["chmod", "1777", lab.Root], Token);
        await SystemCommand.RunAsync(["runuser", "-u", "postgres", "--", Checkout.Program, "backup", "postgres", "restore", "--server", $"{lab.Cluster.Spec.Cluster}.db", "--target", target,
            "--repository", lab.Root + "/repository", "--password-file", lab.Root + "/password"], Token);
        await SystemCommand.RunAsync(["runuser", "-u", "postgres", "--", "bash", "-c",
            $"cd /; {Programs}/pg_ctl -D {target} -w -t 60 -o \"-c listen_addresses='' -c unix_socket_directories={target} -c port=5599\" -l {target}.log start >/dev/null"], Token);
        try
        {
            // It ends its recovery by itself, though the backup is of a standby.
            for (var limit = DateTime.UtcNow + Soon; await AskAsync("SELECT pg_is_in_recovery()") != "f"; await Task.Delay(200, Token)) Assert.True(DateTime.UtcNow < limit, "recovery does not end");
            Assert.Equal("20005", await AskAsync("SELECT count(*) FROM t"));
        }
        finally
        {
            await SystemCommand.RunAsync(["runuser", "-u", "postgres", "--", $"{Programs}/pg_ctl", "-D", target, "-m", "immediate", "stop"], Token);
        }
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task NodeKilledInTheMiddleOfABackup_AnotherDoesIt_AndNobodyTwice()
    {
        await File.WriteAllTextAsync(lab.Root + "/hold", "", Token);
        await lab.NowAsync("files", "full", n1);
        var begun = await lab.UntilAsync("files", job => job.Running is not null, Soon);
        var node = begun.Running!.Node;
        Assert.Equal(1, await ProgramsAsync());
        lab.Cluster.Kill(node);
        try
        {
            var given = await lab.UntilAsync("files", job => job.Running?.Node is { } now && now != node, TimeSpan.FromMinutes(4));
            Assert.Equal(1, await ProgramsAsync());
            Assert.Equal(1, given.Failures);
            Assert.Contains("was lost meanwhile", given.Last!.Words, StringComparison.Ordinal);
            File.Delete(lab.Root + "/hold");
            var done = await lab.UntilAsync("files", job => job.Running is null, Soon);
            Assert.True(done.Last!.Good, done.Last.Words);
            Assert.Equal((0, given.Running!.Node), (done.Failures, done.LastGood!.Node));
            Assert.Contains($"of {done.LastGood.Node}", await lab.RunAsync("restore", "latest", "--path", $"{lab.Root}/{done.LastGood.Node}/files/file", "--target", "-", "--repository", lab.Root + "/files-repository"), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(lab.Root + "/hold");
            lab.Cluster.BringBack(node);
        }
        await lab.WholeAsync();
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task MomentMissedWhileTheClusterWasDown_IsMadeUpForOnce_AndTheClustersStateIsInIt()
    {
        // Once an hour, at the beginning of the next minute that leaves the time to go down before.
        var later = DateTimeOffset.UtcNow.AddSeconds(90);
        var moment = new DateTimeOffset(later.Year, later.Month, later.Day, later.Hour, later.Minute, 0, TimeSpan.Zero);
        await lab.ApplyAsync(lab.TextWith($"{moment.Minute} * * * *"));
        Assert.Null((await lab.UntilAsync("state", job => job.Next == moment, Soon)).Last);
        foreach (var node in lab.Cluster.Nodes.Keys) lab.Cluster.Kill(node);
        await Task.Delay(moment - DateTimeOffset.UtcNow + TimeSpan.FromSeconds(5), Token);
        foreach (var node in lab.Cluster.Nodes.Keys) lab.Cluster.BringBack(node);
        var done = await lab.UntilAsync("state", job => job.LastGood is not null, 2 * Soon);
        await lab.WholeAsync();
        Assert.Empty(done.LastGood!.Warnings);
        Assert.Equal(moment.AddHours(1), done.Next);

        var shown = await lab.RunAsync("show", "latest", "--repository", lab.Root + "/state-repository");
        Assert.Contains("/backup/store.db", shown, StringComparison.Ordinal);
        Assert.Contains("/agent.json", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("/etcd/member", shown, StringComparison.Ordinal);
        var listed = await lab.RunAsync("list", "--repository", lab.Root + "/state-repository");
        Assert.Single(listed.Split('\n'), line => line.Contains("/files", StringComparison.Ordinal));
    }

    [Fact]
    public async Task FailedRun_IsInStatusAndAmongTheAlerts_WithWhatToDo()
    {
        await lab.NowAsync("broken", "full", n1);
        var failed = await lab.UntilAsync("broken", job => job.Failures > 0, Soon);
        Assert.Contains("there is no repository at", failed.Last!.Words, StringComparison.Ordinal);
        var finding = Assert.Single(StatusFindings.Of(await lab.StatusAsync()), finding => finding.Alert == "backup-failed" && finding.Subject == "backup/broken");
        Assert.Contains("evenkeel backup now broken", finding.Do, StringComparison.Ordinal);
        await lab.RunAsync("init", "--repository", lab.Root + "/nowhere");
        await lab.NowAsync("broken", "full", n1);
        await lab.UntilAsync("broken", job => job is { Failures: 0, LastGood: not null }, Soon);
        Assert.DoesNotContain(StatusFindings.Of(await lab.StatusAsync()), finding => finding.Subject == "backup/broken");
    }

    private async Task<string> AskAsync(string question) =>
        (await SystemCommand.RunAsync(["runuser", "-u", "postgres", "--", "psql", "-h", lab.Root + "/restored", "-p", "5599", "-XAtc", question, "postgres"], Token)).Trim();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private Task<string> SqlAsync(string statement) => SystemCommand.RunAsync(
        ["ip", "netns", "exec", lab.Cluster.Network.Namespace("n1"), "psql", "-h", BackupLab.Vip, "-U", "postgres", "-XAtqc", statement, "postgres"], Token);

    private async Task ArchivedAsync(string segment)
    {
        var limit = DateTime.UtcNow + Soon;
        while (string.CompareOrdinal((await SqlAsync("SELECT coalesce(max(last_archived_wal), '') FROM pg_stat_archiver")).Trim(), segment) < 0)
        {
            Assert.True(DateTime.UtcNow < limit, $"{segment} was not archived");
            await Task.Delay(300, Token);
        }
    }

    /// <summary>How many programs are at a backup job of this lab's cluster.</summary>
    private async Task<int> ProgramsAsync()
    {
        var count = 0;
        foreach (var node in lab.Cluster.Nodes.Keys)
            count += (await RunningPrograms.InAsync(lab.Cluster.Network.Namespace(node.Value))).Count(one => string.Join('\0', one.Words).Contains("backup\0job", StringComparison.Ordinal));
        return count;
    }
}

using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>Backup jobs, as the file says them.</summary>
public sealed class BackupFileTests
{
    private const string File = """
        version: 1
        cluster: shop
        networks: { private: [10.10.0.0/24] }
        nodes:
          n1: { private: [10.10.0.11] }
          n2: { private: [10.10.0.12] }
          n3: { private: [10.10.0.13] }
        services:
          db: { postgresql: { data: /srv/db }, redundancy: hot }
          web: { process: { command: [./web] }, redundancy: hot }
        backups:
          db-daily:
            source: db
            repository: "rest:https://backup.example/db"
            password_file: restic
            credentials_file: /etc/evenkeel/rest
            full: weekly
            differential: daily at 02:00
            incremental: hourly
            time_zone: Europe/Berlin
            keep: { daily: 7, weekly: 5 }
            independent: { schedule: monthly, repository: "s3:https://s3.example/bucket", password_file: second }
          etc: { paths: [/etc], each: true, repository: "sftp:me@host:/b", password_file: /p, full: daily, before: sync, filesystem_snapshot: btrfs }
        """;

    [Fact]
    public void Parse_ReadsJobs()
    {
        var job = Examples.Spec(File).Backups["db-daily"];
        Assert.Equal(("db", "rest:https://backup.example/db", "restic", "/etc/evenkeel/rest"), (job.Service, job.Repository.Location, job.Repository.PasswordFile, job.Repository.CredentialsFile));
        Assert.Equal(("weekly", "daily at 02:00", "hourly", "monthly"), (job.Schedules[BackupTask.Full], job.Schedules[BackupTask.Differential], job.Schedules[BackupTask.Incremental], job.Schedules[BackupTask.Independent]));
        Assert.Equal((7, 5, "Europe/Berlin", "s3:https://s3.example/bucket"), (job.Keep!.Daily, job.Keep.Weekly, job.TimeZone, job.Second!.Location));
        Assert.Contains(BackupTask.Verify, job.Schedules.Keys);
        Assert.Contains(BackupTask.Prune, job.Schedules.Keys);
        Assert.DoesNotContain(BackupTask.Prune, Examples.Spec(File).Backups["etc"].Schedules.Keys);
    }

    [Fact]
    public void In_ADatabaseThatIsBackedUp_ArchivesItsLog_UnlessTheFileSaysHow()
    {
        var located = SpecLocation.In(Examples.Spec(File), "/etc/evenkeel");
        var parameters = ((PostgreSqlDriverSpec)located.Services["db"].Driver).Parameters;
        Assert.Equal("on", parameters["archive_mode"]);
        Assert.Equal("{evenkeel} backup wal-push \"%p\" --server 'shop.db' --repository 'rest:https://backup.example/db' --password-file '/etc/evenkeel/restic' --credentials-file '/etc/evenkeel/rest'",
            parameters["archive_command"]);
        var own = Examples.Spec(File.Replace("data: /srv/db }", "data: /srv/db, parameters: { archive_mode: on, archive_command: mine } }", StringComparison.Ordinal));
        Assert.Equal("mine", ((PostgreSqlDriverSpec)SpecLocation.In(own, "/").Services["db"].Driver).Parameters["archive_command"]);
    }

    [Fact]
    public void TrialOnOneMachine_BacksNothingUp_AndArchivesNothing()
    {
        Assert.True(LocalMapping.TryMap(SpecLocation.In(Examples.Spec(File), "/etc"), "/etc", out var local, out _));
        Assert.Empty(local.Spec.Backups);
        Assert.DoesNotContain("archive_command", ((PostgreSqlDriverSpec)local.Spec.Services["db"].Driver).Parameters.Keys);
    }

    [Theory]
    [InlineData("source: db", "source: dbs", "there is no service 'dbs'")]
    [InlineData("source: db", "source: web", "does not say where 'web' keeps its data")]
    [InlineData("source: db", "source: db\n    paths: /srv", "is PostgreSQL")]
    [InlineData("full: weekly", "full: sometimes", "'sometimes' is no schedule")]
    [InlineData("full: weekly", "full: 0 0 30 2 *", "never comes")]
    [InlineData("time_zone: Europe/Berlin", "time_zone: Europe/Nowhere", "there is no time zone")]
    [InlineData("keep: { daily: 7, weekly: 5 }", "keep: { daily: 0 }", "nothing would be kept")]
    [InlineData("s3:https://s3.example/bucket", "rest:https://backup.example/db", "the same repository")]
    [InlineData("s3:https://s3.example/bucket", "s3:https://s3.example", "an S3 repository is named")]
    [InlineData("rest:https://backup", "rest:https://me:secret@backup", "a password in the cluster's file")]
    [InlineData("rest:https://backup.example/db", "ftp:backup.example/db", "no kind of place")]
    [InlineData("paths: [/etc]", "paths: [etc]", "no absolute path")]
    [InlineData("paths: [/etc]", "paths: [/etc, /home]", "a snapshot is of one file system")]
    [InlineData("full: daily, before", "verify: daily, before", "it never backs anything up")]
    [InlineData("each: true", "each: true, nodes: [n9]", "there is no node 'n9'")]
    public void Parse_WhatMakesNoSense_IsSaid(string right, string wrong, string words)
    {
        Assert.Contains(right, File, StringComparison.Ordinal);
        var read = ClusterFile.Parse(File.Replace(right, wrong, StringComparison.Ordinal), "cluster.yaml");
        Assert.Null(read.Spec);
        Assert.Contains(read.Diagnostics, diagnostic => diagnostic.Path.StartsWith("backups", StringComparison.Ordinal) && diagnostic.ToString().Contains(words, StringComparison.Ordinal));
    }

    [Fact]
    public void Parse_ALocalDirectoryOfSeveralNodes_IsWarnedOf()
    {
        var read = ClusterFile.Parse(File.Replace("sftp:me@host:/b", "/mnt/backup", StringComparison.Ordinal), "cluster.yaml");
        Assert.NotNull(read.Spec);
        Assert.Contains(read.Diagnostics, diagnostic => diagnostic.Severity == Severity.Warning && diagnostic.Message.Contains("one on each node", StringComparison.Ordinal));
    }

    [Fact]
    public void Flatten_ShowsEveryKey()
    {
        var before = Examples.Spec(File);
        foreach (var (right, other) in (ReadOnlySpan<(string, string)>)[("full: weekly", "full: daily"), ("daily: 7", "daily: 8"), ("schedule: monthly", "schedule: yearly"), ("password_file: second", "password_file: third"),
            ("before: sync", "before: freeze"), ("filesystem_snapshot: btrfs", "filesystem_snapshot: lvm"), ("each: true", "each: false"), ("time_zone: Europe/Berlin", "time_zone: UTC")])
            Assert.Single(SpecDiff.Between(before, Examples.Spec(File.Replace(right, other, StringComparison.Ordinal))));
    }
}

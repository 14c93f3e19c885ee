using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Three nodes in network namespaces with a hot PostgreSQL, whose backups go to a directory that all of them reach.</summary>
public sealed class BackupLab() : NamespaceLab("b")
{
    public const string Vip = "203.0.113.10";

    internal string Root { get; } = Directory.CreateTempSubdirectory("evenkeel-backuplab-").FullName;

    protected override string FileText => TextWith("yearly");

    /// <param name="schedule">Of the job <c>state</c>.</param>
    internal string TextWith(string schedule) => $$"""
        version: 1
        cluster: {{Name}}
        networks: { public: 203.0.113.0/24, private: [10.79.0.0/24] }
        vips: { front: {{Vip}} }
        nodes:
          n1: { public: 203.0.113.11, private: [10.79.0.11] }
          n2: { public: 203.0.113.12, private: [10.79.0.12] }
          n3: { public: 203.0.113.13, private: [10.79.0.13] }
        services:
          db:
            postgresql:
              data: {{Root}}/{node}/db
              pg_hba: ["host all all 10.79.0.0/24 trust"]
              parameters: { archive_timeout: 5, shared_buffers: 16MB }
            redundancy: hot
            publish: [{ vip: front, port: 5432, protocol: tcp, to: primary }]
        backups:
          db-backup: { source: db, repository: {{Root}}/repository, password_file: {{Root}}/password, full: yearly, keep: { last: 1 } }
          files: { paths: ["{{Root}}/{node}/files"], repository: {{Root}}/files-repository, password_file: {{Root}}/password, full: yearly, before: "until test ! -e {{Root}}/hold; do sleep 0.2; done" }
          state: { paths: ["{{Root}}/n1/files"], state: true, nodes: [n1], repository: {{Root}}/state-repository, password_file: {{Root}}/password, incremental: "{{schedule}}" }
          broken: { paths: [/etc/hostname], repository: {{Root}}/nowhere, password_file: {{Root}}/password, full: yearly }
        """;

    protected override string WorkingDirectory => Root;
    protected override string KeptService => "db";

    public override async ValueTask InitializeAsync()
    {
        File.SetUnixFileMode(Root, (UnixFileMode)0b111_001_001);
        foreach (var node in new[] { "n1", "n2", "n3" })
        {
            File.SetUnixFileMode(Directory.CreateDirectory(Path.Combine(Root, node)).FullName, (UnixFileMode)0b111_001_001);
            await File.WriteAllTextAsync(Path.Combine(Directory.CreateDirectory(Path.Combine(Root, node, "files")).FullName, "file"), $"of {node}\n");
        }
        await File.WriteAllTextAsync(Root + "/password", "correct horse\n");
        foreach (var repository in new[] { "repository", "files-repository", "state-repository" }) await RunAsync("init", "--repository", $"{Root}/{repository}");
        // PostgreSQL's own user archives into it.
        await SystemCommand.RunAsync(["chown", "-R", "postgres", Root + "/repository", Root + "/password"], Deadline());
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(Root, recursive: true);
    }

    /// <summary>The program, with the repositories' password.</summary>
    internal Task<string> RunAsync(string command, params string[] arguments) =>
        SystemCommand.RunAsync(["env", $"EVENKEEL_BACKUP_STATE={Root}/evidence", Checkout.Program, "backup", command, "--password-file", Root + "/password", .. arguments], Deadline());

    /// <summary>As an operator asks for it, on a node's socket.</summary>
    internal Task<string> NowAsync(string job, string task, NodeName through) => SystemCommand.RunAsync(
        [Checkout.Program, "backup", "now", job, "--task", task, "--cluster", LocalPaths.ControlSocket(Name, through.Value)], Deadline());

    internal async Task ApplyAsync(string text)
    {
        var file = Root + "/cluster.yaml";
        await File.WriteAllTextAsync(file, text);
        await SystemCommand.RunAsync([Checkout.Program, "apply", file, "--yes", "--cluster", LocalPaths.ControlSocket(Name, "n1")], Deadline());
    }

    internal async Task<StatusReport> StatusAsync() => await Cluster.StatusAsync(Deadline()) ?? throw new InvalidOperationException("no agent answers");

    internal async Task<BackupReport> UntilAsync(string job, Func<BackupReport, bool> so, TimeSpan limit)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Xunit.TestContext.Current.CancellationToken);
        deadline.CancelAfter(limit);
        BackupReport? last = null;
        try
        {
            while (true)
            {
                if (await Cluster.StatusAsync(deadline.Token) is { } status && (last = status.Backups.Single(one => one.Job == job)) is { } seen && so(seen)) return seen;
                await Task.Delay(200, deadline.Token);
            }
        }
        catch (OperationCanceledException)
        {
            throw new InvalidOperationException($"it did not come to it within {limit.TotalSeconds:0} s: {last}, last run: {last?.Last}");
        }
    }
}

using System.Collections.Concurrent;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Backups;

/// <summary>The agent's part that does backup orders, with the real program as a process of its own.</summary>
public sealed class BackupRunnerTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string _root = Directory.CreateTempSubdirectory("evenkeel-runner-").FullName;
    private readonly BlockingCollection<BackupEnded> _ended = [];
    private readonly CancellationTokenSource _stopping = new();
    private BackupRunner _runner = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(_root + "/n1/files");
        await File.WriteAllTextAsync(_root + "/n1/files/file", "content", Token);
        await File.WriteAllTextAsync(_root + "/password", "correct horse\n", Token);
        await using (await ResticRepository.CreateAsync(new LocalBackend(_root + "/repository"), "correct horse", TimeProvider.System, cancellation: Token))
        {
            // It is there.
        }
        var configuration = new AgentConfiguration
        {
            Cluster = "shop", Node = new NodeName("n1"), StateDirectory = _root + "/state", ControlSocket = "", GuardSocket = "", Private = [], Store = StoreKind.Remote, StoreEndpoints = [], WorkingDirectory = "/",
        };
        _runner = new BackupRunner(configuration, [Path.Combine(AppContext.BaseDirectory, "evenkeel")], happened => _ended.Add((BackupEnded)happened, Token), _ => { }, _stopping.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        Directory.Delete(_root, recursive: true);
        _ended.Dispose();
        _stopping.Dispose();
    }

    [Fact]
    public async Task Run_OfEachTask_DoesItAndSaysWhatCameOfIt()
    {
        var full = Done(BackupTask.Full);
        Assert.True(full.Good, full.Words);
        Assert.Equal((new NodeName("n1"), 1, 7), (full.Node, full.Files, full.BytesRead));
        await File.WriteAllTextAsync(_root + "/n1/files/more", "more", Token);
        var incremental = Done(BackupTask.Incremental);
        Assert.Equal((2, true), (incremental.Files, incremental.Good));
        // 'keep last 1' forgot the first one, and only what this job made.
        Assert.Contains("1 older one(s) forgotten", incremental.Words, StringComparison.Ordinal);
        await using (var repository = await ResticRepository.OpenAsync(new LocalBackend(_root + "/repository"), "correct horse", TimeProvider.System, Token))
        {
            var snapshot = Assert.Single(await repository.LoadSnapshotsAsync(Token));
            Assert.Equal((incremental.Snapshot, "shop.n1", _root + "/n1/files"), (snapshot.Id.ToString(), snapshot.Hostname, snapshot.Paths[0]));
        }
        Assert.True(Done(BackupTask.Verify).Good);
        Assert.True(Done(BackupTask.Prune).Good);
    }

    [Fact]
    public void Run_ThatCannotWork_SaysWhy()
    {
        var job = Job with { Repository = Job.Repository with { Location = _root + "/nowhere" } };
        Assert.Contains("there is no repository at", Done(BackupTask.Full, job).Words, StringComparison.Ordinal);
        var password = Job with { Repository = Job.Repository with { PasswordFile = _root + "/missing" } };
        var failed = Done(BackupTask.Full, password);
        Assert.False(failed.Good);
        Assert.Contains("password file", failed.Words, StringComparison.Ordinal);
        Assert.Contains("the --before command ended with 7", Done(BackupTask.Full, Job with { Before = "exit 7" }).Words, StringComparison.Ordinal);
    }

    [Fact]
    public void Stop_EndsTheProgram_AndSaysWhy()
    {
        _runner.Run(new RunBackup("files", 5, BackupTask.Full, Job with { Before = $"touch {_root}/begun; sleep 1000", After = $"touch {_root}/thawed" }, null));
        Assert.True(SpinWait.SpinUntil(() => File.Exists(_root + "/begun"), Patience));
        _runner.Stop(new StopBackup("files", 4, "another run's"));
        Assert.False(_ended.TryTake(out _, TimeSpan.FromMilliseconds(300)));
        _runner.Stop(new StopBackup("files", 5, "the job is another node's now"));
        Assert.True(_ended.TryTake(out var ended, Patience));
        Assert.Equal((5, false, "the job is another node's now"), (ended!.Number, ended.Result.Good, ended.Result.Words));
        Assert.True(File.Exists(_root + "/thawed"), "the application stays frozen");
    }

    [Fact]
    public void Run_ThatTakesTooLong_IsEnded()
    {
        _runner.Run(new RunBackup("files", 6, BackupTask.Full, Job with { Before = "sleep 1000", TimeLimit = TimeSpan.FromSeconds(2) }, null));
        Assert.True(_ended.TryTake(out var ended, Patience));
        Assert.Contains("longer than its time limit", ended!.Result.Words, StringComparison.Ordinal);
    }

    private BackupSpec Job => BackupCluster.Job("files") with
    {
        Paths = [_root + "/{node}/files"], Repository = new BackupPlace(_root + "/repository", _root + "/password"), Keep = new BackupKeepSpec { Last = 1 }, VerifyPercent = 100,
    };

    private BackupResult Done(BackupTask task, BackupSpec? job = null)
    {
        _runner.Run(new RunBackup("files", 1, task, job ?? Job, null));
        Assert.True(_ended.TryTake(out var ended, Patience), "it did not end");
        return ended!.Result;
    }
}

using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Etcd;
using Evenkeel.Tests.Store;
using Evenkeel.Tests.Transport;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>Nothing that keeps etcd from being started once keeps it from being started and watched later.</summary>
public sealed class ManagedEtcdTests : IDisposable
{
    private readonly DirectoryInfo _place = TestDirectory.InMemory("evenkeel-managed-");
    private readonly TestCluster _cluster = new();

    private AgentConfiguration Configuration => new()
    {
        Cluster = "shop", Node = new NodeName("n1"), StateDirectory = _place.FullName, ControlSocket = "", GuardSocket = "", Private = ["127.77.0.1"], Store = StoreKind.Etcd, StoreEndpoints = [],
        StoreMembers = new Dictionary<string, string> { ["n1"] = "127.77.0.1" }, StoreFounders = ["n1"], WorkingDirectory = "/",
    };

    public void Dispose()
    {
        _cluster.Dispose();
        _place.Delete(recursive: true);
    }

    [Fact]
    public async Task Run_StartFails_IsSaidAndTriedAgain()
    {
        var started = new TaskCompletionSource<EtcdProcess>(TaskCreationOptions.RunContinuationsAsynchronously);
        var failures = new Queue<Exception>([new IOException("No space left on device"), new EtcdStartException("etcd was not found"), new InvalidOperationException("nobody expects it")]);
        var log = new List<string>();
        using var etcd = new ManagedEtcd(Configuration, _cluster.Issue("n1"), () => null, line =>
        {
            lock (log) log.Add(line);
        })
        {
            Launch = member =>
            {
                if (failures.TryDequeue(out var failure)) throw failure;
                var process = EtcdProcess.Start(member with { Program = FakeEtcd.In(_place.FullName) });
                started.TrySetResult(process);
                return process;
            },
        };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var running = etcd.RunAsync(stop.Token);
        await Task.WhenAny(running, started.Task).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.True(started.Task.IsCompleted, running.Exception?.ToString());
        await stop.CancelAsync();
        await running;
        await etcd.StopAsync(TimeSpan.FromSeconds(10));
        lock (log)
        {
            Assert.Contains(log, line => line.Contains("No space left on device", StringComparison.Ordinal));
            Assert.Contains("etcd was not found", log);
            Assert.Contains(log, line => line.Contains("nobody expects it", StringComparison.Ordinal));
        }
    }

    [Theory]
    // The authority was made anew by hand while it ran: it speaks with nobody of today.
    [InlineData("sha256:another", true)]
    [InlineData(null, false)]
    public async Task Run_EtcdFromBefore_IsStartedAnewWhereItTrustsNobodyOfToday(string? trusted, bool anew)
    {
        var starts = System.Threading.Channels.Channel.CreateUnbounded<(int Id, bool Adopted)>();
        var certificate = _cluster.Issue("n1");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        stop.CancelAfter(TimeSpan.FromSeconds(60));
        ManagedEtcd Open() => new(Configuration, certificate, () => null, _ => { })
        {
            Launch = member =>
            {
                var process = EtcdProcess.Start(member with { Program = FakeEtcd.In(_place.FullName) });
                starts.Writer.TryWrite((process.Id, process.Adopted));
                return process;
            },
        };

        int former;
        using (var earlier = Open())
        using (var ended = CancellationTokenSource.CreateLinkedTokenSource(stop.Token))
        {
            var running = earlier.RunAsync(ended.Token);
            former = (await starts.Reader.ReadAsync(stop.Token)).Id;
            while (earlier.Trusted is null) await Task.Delay(10, stop.Token);
            await ended.CancelAsync();
            await running;
        }

        if (trusted is not null) File.WriteAllText(Path.Combine(_place.FullName, "etcd.trust"), trusted);
        using var etcd = Open();
        using (var ended = CancellationTokenSource.CreateLinkedTokenSource(stop.Token))
        {
            var running = etcd.RunAsync(ended.Token);
            Assert.Equal((former, true), await starts.Reader.ReadAsync(stop.Token));
            if (anew)
            {
                var second = await starts.Reader.ReadAsync(stop.Token);
                Assert.False(second.Adopted);
                Assert.NotEqual(former, second.Id);
            }

            while (etcd.Trusted?.SequenceEqual(certificate.Trusted) != true) await Task.Delay(10, stop.Token);
            await ended.CancelAsync();
            await running;
        }

        await etcd.StopAsync(TimeSpan.FromSeconds(10));
        Assert.False(starts.Reader.TryRead(out _));
    }

    [Fact]
    public async Task Run_TheLeaveThatWasAskedForCameToNothing_EtcdIsStartedAgain()
    {
        var starts = System.Threading.Channels.Channel.CreateUnbounded<EtcdProcess>();
        using var etcd = new ManagedEtcd(Configuration, _cluster.Issue("n1"), () => null, _ => { })
        {
            Launch = member =>
            {
                var process = EtcdProcess.Start(member with { Program = FakeEtcd.In(_place.FullName) });
                starts.Writer.TryWrite(process);
                return process;
            },
        };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        stop.CancelAfter(TimeSpan.FromSeconds(60));
        var running = etcd.RunAsync(stop.Token);
        var first = await starts.Reader.ReadAsync(stop.Token);
        etcd.IsLeaving = true;
        first.Kill();
        await first.EndedAsync(TimeSpan.FromSeconds(10), stop.Token);
        etcd.IsLeaving = false;
        var second = await starts.Reader.ReadAsync(stop.Token);
        Assert.NotEqual(first, second);
        await stop.CancelAsync();
        await running;
        await etcd.StopAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task BackgroundWork_PartThatFails_IsSaidAtOnce_OneThatIsStoppedIsNot()
    {
        using var running = new CancellationTokenSource();
        var log = new List<string>();
        var work = new BackgroundWork(log.Add, running.Token);
        work.Add("nothing is counted any more", Task.FromException(new InvalidDataException("not a number")));
        work.Add("nothing is read any more", Task.Delay(Timeout.Infinite, running.Token));
        Assert.Equal(["nothing is counted any more (InvalidDataException: not a number)"], work.Failures);
        Assert.Contains("until the agent is restarted", Assert.Single(log), StringComparison.Ordinal);
        await running.CancelAsync();
        await work.Ended;
        Assert.Single(work.Failures);
    }
}

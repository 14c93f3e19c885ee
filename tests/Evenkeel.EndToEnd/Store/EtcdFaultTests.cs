using System.Text;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Store.Etcd;
using Evenkeel.Tests.Store.Linearizability;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>What clients see while members of a real etcd die, freeze and come back.</summary>
[Trait("Peer", "etcd")]
[Trait("Machine", "shared")]
public sealed class EtcdFaultTests : IAsyncLifetime
{
    private readonly EtcdTrio _trio = new();
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _trio.InitializeAsync();
    public ValueTask DisposeAsync() => _trio.DisposeAsync();

    private static Transaction Put(string key, string value) => new(Guid.NewGuid(), [], [new Write(key, Encoding.UTF8.GetBytes(value))]);

    /// <summary>As an agent does: the same request again until its outcome is known.</summary>
    private static async Task<CommitResult> SettleAsync(ICoordinationStore store, Transaction transaction)
    {
        while (true)
        {
            var result = await store.CommitAsync(transaction, Cancel);
            if (result.Outcome is CommitOutcome.Committed or CommitOutcome.Conflict)
            {
                return result;
            }
        }
    }

    private static async Task<string?> ValueAsync(ICoordinationStore store, string key) =>
        (await store.ReadAsync(key, Cancel)).Entries.SingleOrDefault() is { } entry ? Encoding.UTF8.GetString(entry.Value.Span) : null;

    [Fact]
    public async Task Commit_LeaderKilled_GoesOnAndLosesNothing()
    {
        var leader = await _trio.HealthyAsync();
        var store = _trio.Open(leader);
        await SettleAsync(store, Put("k/before", "1"));
        _trio.Kill(leader);
        await SettleAsync(store, Put("k/after", "2"));
        Assert.Equal(["k/after", "k/before"], (await store.ReadAsync("k/", Cancel)).Entries.Select(entry => entry.Key));
        var status = await store.GetStatusAsync(Cancel);
        Assert.True(status.HasQuorum);
        Assert.Contains(status.Alarms, alarm => alarm.Contains(_trio.Members[leader].Clients.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Commit_LeaderFrozen_GoesOnAndTheOldLeaderNeverAnswersStale()
    {
        var leader = await _trio.HealthyAsync();
        var onlyLeader = new EtcdStore("shop", [new EtcdEndpoint(_trio.Members[leader].Clients)], _trio.Certificates[leader], _ => { });
        await SettleAsync(onlyLeader, Put("k", "old"));
        _trio.Freeze(leader);
        await SettleAsync(_trio.Open((leader + 1) % 3), Put("k", "new"));
        var reading = onlyLeader.ReadAsync("k", Cancel);
        _trio.Thaw(leader);
        try
        {
            Assert.Equal("new", Encoding.UTF8.GetString((await reading).Entries.Single().Value.Span));
        }
        catch (StoreUnavailableException)
        {
            // No answer is honest; an old one would not be.
        }

        await _trio.HealthyAsync();
        Assert.Equal("new", await ValueAsync(onlyLeader, "k"));
        await onlyLeader.DisposeAsync();
    }

    [Fact]
    public async Task Commit_WithoutQuorum_IsNeverCommittedAndIsResolvedByARetry()
    {
        var leader = await _trio.HealthyAsync();
        var store = _trio.Open();
        await SettleAsync(store, Put("k", "1"));
        _trio.Kill(leader);
        _trio.Kill((leader + 1) % 3);
        var transaction = Put("k", "2");
        var result = await store.CommitAsync(transaction, Cancel);
        Assert.True(result.Outcome is CommitOutcome.Unavailable or CommitOutcome.Indeterminate, $"{result}");
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.ReadAsync("k", Cancel));
        Assert.False((await store.GetStatusAsync(Cancel)).HasQuorum);
        _trio.Start(leader);
        _trio.Start((leader + 1) % 3);
        var settled = await SettleAsync(store, transaction);
        Assert.Equal(CommitOutcome.Committed, settled.Outcome);
        await SettleAsync(store, Put("k", "3"));
        Assert.Equal(settled.Revision, (await store.CommitAsync(transaction, Cancel)).Revision);
        Assert.Equal("3", await ValueAsync(store, "k"));
    }

    [Fact]
    public async Task Commit_AllMembersGone_IsUnavailable()
    {
        var store = _trio.Open();
        await SettleAsync(store, Put("k", "1"));
        for (var i = 0; i < 3; i++)
        {
            _trio.Kill(i);
        }

        // Once the broken connections have been noticed, nothing is sent any more.
        CommitResult result;
        do
        {
            result = await store.CommitAsync(Put("k", "2"), Cancel);
        }
        while (result.Outcome == CommitOutcome.Indeterminate);
        Assert.Equal(CommitOutcome.Unavailable, result.Outcome);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.GetStatusAsync(Cancel));
    }

    [Fact]
    public async Task Watch_MemberKilled_EndsAndResumesWithoutAGap()
    {
        await _trio.HealthyAsync();
        var store = _trio.Open();
        var last = (await SettleAsync(store, Put("w", "start"))).Revision;
        var seen = new List<string>();
        var following = Task.Run(async () =>
        {
            while (seen.Count < 20)
            {
                try
                {
                    await foreach (var batch in store.WatchAsync("w", last, Cancel))
                    {
                        seen.AddRange(batch.Entries.Select(entry => Encoding.UTF8.GetString(entry.Value.Span)));
                        last = batch.Revision;
                        if (seen.Count >= 20)
                        {
                            break;
                        }
                    }
                }
                catch (StoreUnavailableException)
                {
                    // Again from the last revision seen.
                }
            }
        }, Cancel);
        for (var i = 0; i < 20; i++)
        {
            if (i == 10)
            {
                _trio.Kill(0); // the member that the watch is on
            }

            await SettleAsync(store, Put("w", $"{i}"));
        }

        await following.WaitAsync(TimeSpan.FromSeconds(60), Cancel);
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}"), seen);
    }

    [Fact]
    public async Task Histories_UnderKillsAndFreezes_AreLinearizable()
    {
        await _trio.HealthyAsync();
        var recorded = new RecordedClients(seed: 7);
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var clients = recorded.RunAsync([_trio.Open(0), _trio.Open(1), _trio.Open(2), _trio.Open(0)], calls: 100_000, enough.Token);
        var random = new Random(7);
        for (var fault = 0; fault < 4; fault++)
        {
            var leader = await _trio.HealthyAsync();
            var victim = fault % 2 == 0 ? leader : random.Next(3);
            if (fault < 2)
            {
                _trio.Kill(victim);
            }
            else
            {
                _trio.Freeze(victim);
            }

            // The others elect a leader and answer again before the next one is lost.
            await SettleAsync(_trio.Open((victim + 1) % 3), Put("progress", $"{fault}"));
            if (fault < 2)
            {
                _trio.Start(victim);
            }
            else
            {
                _trio.Thaw(victim);
            }
        }

        await _trio.HealthyAsync();
        // A fast election leaves little time for writes between the faults; a short history would prove little.
        var worthChecking = SpinWait.SpinUntil(() => recorded.Outcomes.GetValueOrDefault(CommitOutcome.Committed) > 50, TimeSpan.FromSeconds(60));
        await enough.CancelAsync();
        await clients;
        Assert.True(worthChecking, string.Join(' ', recorded.Outcomes));
        TestContext.Current.TestOutputHelper?.WriteLine($"{string.Join(' ', recorded.Outcomes)}, reads {recorded.Reads}");
        recorded.AssertLinearizable();
    }

    [Fact]
    public async Task Start_RunningMember_IsAdopted()
    {
        await _trio.HealthyAsync();
        using var again = EtcdProcess.Start(_trio.Members[1]);
        Assert.True(again.Adopted);
        Assert.Equal(_trio.Process(1).Id, again.Id);
    }

    [Fact]
    public void Start_ProgramMissing_SaysHowToInstallIt()
    {
        var missing = Assert.Throws<EtcdStartException>(() => EtcdProcess.Start(_trio.Members[0] with { Program = "/nowhere/etcd", StateDirectory = "/tmp/evenkeel-none" }));
        Assert.Contains("apt install etcd-server", missing.Message, StringComparison.Ordinal);
    }
}

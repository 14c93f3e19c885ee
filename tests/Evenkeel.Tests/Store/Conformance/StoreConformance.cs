using System.Text;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Tests.Store.Linearizability;
using Xunit;

namespace Evenkeel.Tests.Store.Conformance;

/// <summary>
/// What every <see cref="ICoordinationStore"/> promises. One class a store derives from it; a test's keys live under a prefix
/// of its own, so that stores may be shared between tests.
/// </summary>
public abstract partial class StoreConformance : IAsyncLifetime
{
    private readonly string _prefix = $"t{Guid.NewGuid():n}/";
    private ICoordinationStore? _store;

    protected ICoordinationStore Store => _store!;
    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>A client of the store under test; several clients share one store.</summary>
    protected abstract Task<ICoordinationStore> OpenAsync();

    /// <summary>Makes the store forget the changes up to <paramref name="revision"/>.</summary>
    protected abstract Task CompactAsync(long revision);

    public virtual async ValueTask InitializeAsync() => _store = await OpenAsync();

    public virtual async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }

    protected string Key(string name) => _prefix + name;

    protected Write Put(string name, string value) => new(Key(name), Encoding.UTF8.GetBytes(value));
    protected Write Delete(string name) => new(Key(name), null);
    protected Compare Expect(string name, long revision) => new(Key(name), revision);
    protected static Transaction Of(IReadOnlyList<Compare> compares, params IReadOnlyList<Write> writes) => new(Guid.NewGuid(), compares, writes);

    /// <summary>As an agent does: the same request again until its outcome is known.</summary>
    protected static async Task<CommitResult> SettleAsync(ICoordinationStore store, Transaction transaction)
    {
        for (var attempt = 1; ; attempt++)
        {
            var result = await store.CommitAsync(transaction, Cancel);
            if (result.Outcome is CommitOutcome.Committed or CommitOutcome.Conflict || attempt == 10)
            {
                return result;
            }
        }
    }

    protected Task<CommitResult> SettleAsync(Transaction transaction) => SettleAsync(Store, transaction);

    protected async Task<long> CommittedAsync(params IReadOnlyList<Write> writes)
    {
        var result = await SettleAsync(Of([], writes));
        Assert.True(result.Outcome == CommitOutcome.Committed, result.Reason);
        return result.Revision;
    }

    protected static async Task<StoreSnapshot> SnapshotAsync(ICoordinationStore store, string prefix)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await store.ReadAsync(prefix, Cancel);
            }
            catch (StoreUnavailableException) when (attempt < 10)
            {
                // A starved machine; a reading changes nothing.
            }
        }
    }

    protected async Task<IReadOnlyList<string>> ContentAsync(string below = "") =>
        [.. (await SnapshotAsync(Store, Key(below))).Entries.Select(entry => $"{entry.Key[_prefix.Length..]}={Encoding.UTF8.GetString(entry.Value.Span)}")];

    [Fact]
    public async Task Read_AfterCommit_SeesEveryWriteAtItsRevision()
    {
        var first = await CommittedAsync(Put("a", "1"), Put("b", "2"));
        var second = await CommittedAsync(Put("b", "3"), Put("c", ""));
        Assert.True(second > first);
        var snapshot = await SnapshotAsync(Store, Key(""));
        Assert.True(snapshot.Revision >= second);
        Assert.Equal([first, second, second], snapshot.Entries.Select(entry => entry.ModRevision));
        Assert.Equal(["a=1", "b=3", "c="], await ContentAsync());
    }

    [Fact]
    public async Task Read_PrefixWithWildcardsAndCase_IsTakenLiterally()
    {
        await CommittedAsync(Put("x%y", "1"), Put("x_y", "2"), Put("xay", "3"), Put("X%y", "4"), Put("é/ü", "5"));
        Assert.Equal(["x%y=1"], await ContentAsync("x%"));
        Assert.Equal(["x_y=2"], await ContentAsync("x_"));
        Assert.Equal(["é/ü=5"], await ContentAsync("é/"));
        Assert.Empty(await ContentAsync("nothing"));
    }

    [Fact]
    public async Task Commit_CompareHolds_Applies()
    {
        var made = await SettleAsync(Of([Expect("a", 0)], Put("a", "1")));
        Assert.Equal(CommitOutcome.Committed, made.Outcome);
        var changed = await SettleAsync(Of([Expect("a", made.Revision), Expect("b", 0)], Put("a", "2")));
        Assert.Equal(CommitOutcome.Committed, changed.Outcome);
        Assert.Equal(["a=2"], await ContentAsync());
    }

    [Fact]
    public async Task Commit_OneCompareFails_ChangesNothingAndNamesTheKey()
    {
        var revision = await CommittedAsync(Put("a", "1"));
        var result = await SettleAsync(Of([Expect("a", revision), Expect("b", 7)], Put("a", "2"), Put("b", "2")));
        Assert.Equal(CommitOutcome.Conflict, result.Outcome);
        Assert.Equal(0, result.Revision);
        Assert.Contains(Key("b"), result.Reason, StringComparison.Ordinal);
        Assert.Equal(["a=1"], await ContentAsync());
    }

    [Fact]
    public async Task Commit_Delete_MakesTheKeyAbsent()
    {
        var revision = await CommittedAsync(Put("a", "1"), Put("b", "2"));
        Assert.Equal(CommitOutcome.Conflict, (await SettleAsync(Of([Expect("a", 0)], Delete("b")))).Outcome);
        await CommittedAsync(Delete("a"), Delete("never-there"));
        Assert.Equal(["b=2"], await ContentAsync());
        Assert.Equal(CommitOutcome.Conflict, (await SettleAsync(Of([Expect("a", revision)], Put("a", "2")))).Outcome);
        Assert.Equal(CommitOutcome.Committed, (await SettleAsync(Of([Expect("a", 0)], Put("a", "2")))).Outcome);
    }

    [Fact]
    public async Task Commit_WithoutWrites_OnlyCompares()
    {
        var revision = await CommittedAsync(Put("a", "1"));
        Assert.Equal(CommitOutcome.Committed, (await SettleAsync(Of([Expect("a", revision)]))).Outcome);
        Assert.Equal(CommitOutcome.Conflict, (await SettleAsync(Of([Expect("a", revision + 99)]))).Outcome);
    }

    [Fact]
    public async Task Commit_SameRequestAgain_AnswersTheSameAndAppliesOnce()
    {
        var transaction = Of([Expect("a", 0)], Put("a", "1"));
        var first = await SettleAsync(transaction);
        await CommittedAsync(Delete("a"));
        var again = await SettleAsync(transaction);
        Assert.Equal((CommitOutcome.Committed, first.Revision), (again.Outcome, again.Revision));
        Assert.Empty(await ContentAsync());
    }

    [Fact]
    public async Task Commit_SameRequestAfterConflict_StaysAConflict()
    {
        var revision = await CommittedAsync(Put("a", "1"));
        var transaction = Of([Expect("a", 0)], Put("a", "2"));
        Assert.Equal(CommitOutcome.Conflict, (await SettleAsync(transaction)).Outcome);
        Assert.Equal(CommitOutcome.Committed, (await SettleAsync(Of([Expect("a", revision)], Delete("a")))).Outcome);
        // Now the compare would hold; but 'conflict' was said, and must stay true.
        Assert.Equal(CommitOutcome.Conflict, (await SettleAsync(transaction)).Outcome);
        Assert.Empty(await ContentAsync());
    }

    [Fact]
    public async Task Commit_SameRequestManyTimesAtOnce_AppliesOnce()
    {
        var transaction = Of([Expect("a", 0)], Put("a", "1"));
        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => SettleAsync(transaction)));
        Assert.All(results, result => Assert.Equal((CommitOutcome.Committed, results[0].Revision), (result.Outcome, result.Revision)));
    }

    [Fact]
    public async Task Commit_AtTheLimits_Applies()
    {
        var result = await SettleAsync(
            new Transaction(Guid.NewGuid(), [.. Enumerable.Range(0, 128).Select(i => Expect($"k{i}", 0))], [.. Enumerable.Range(0, 128).Select(i => Put($"k{i}", "v"))]));
        Assert.True(result.Outcome == CommitOutcome.Committed, result.Reason);
        var large = await SettleAsync(Of([], new Write(Key("large"), new byte[(1 << 20) - 100])));
        Assert.True(large.Outcome == CommitOutcome.Committed, large.Reason);
        Assert.Equal(129, (await SnapshotAsync(Store, Key(""))).Entries.Count);
    }

    [Fact]
    public async Task Commit_BeyondTheLimits_IsRefusedAndChangesNothing()
    {
        Transaction[] tooMuch =
        [
            Of([.. Enumerable.Range(0, 129).Select(i => Expect($"k{i}", 0))], Put("a", "1")),
            Of([], [.. Enumerable.Range(0, 129).Select(i => Put($"k{i}", "v"))]),
            Of([], new Write(Key("a"), new byte[1 << 20])),
            Of([], Put("a", "1"), Put("a", "2")),
            Of([], new Write("", new byte[1])),
        ];
        foreach (var transaction in tooMuch)
        {
            var result = await Store.CommitAsync(transaction, Cancel);
            Assert.Equal(CommitOutcome.Unavailable, result.Outcome);
            Assert.NotNull(result.Reason);
        }

        Assert.Empty(await ContentAsync());
    }

    [Fact]
    public async Task Status_HealthyStore_HasQuorumLeaderAndRevision()
    {
        var revision = await CommittedAsync(Put("a", "1"));
        var status = await Store.GetStatusAsync(Cancel);
        Assert.True(status.HasQuorum);
        Assert.False(string.IsNullOrEmpty(status.Leader));
        Assert.True(status.Revision >= revision);
        Assert.Empty(status.Alarms);
    }

    [Fact]
    public async Task Commit_CountersOfManyClients_LoseNoIncrement()
    {
        const int Clients = 4, Each = 10;
        var clients = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => OpenAsync()));
        await Task.WhenAll(clients.Select(client => Task.Run(async () =>
        {
            for (var done = 0; done < Each;)
            {
                var entry = (await SnapshotAsync(client, Key("n"))).Entries.SingleOrDefault();
                var next = entry is null ? 1 : int.Parse(Encoding.UTF8.GetString(entry.Value.Span), System.Globalization.CultureInfo.InvariantCulture) + 1;
                var result = await SettleAsync(client, Of([Expect("n", entry?.ModRevision ?? 0)], Put("n", $"{next}")));
                done += result.Outcome == CommitOutcome.Committed ? 1 : 0;
            }
        }, Cancel)));
        Assert.Equal([$"n={Clients * Each}"], await ContentAsync());
        foreach (var client in clients)
        {
            await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task Histories_OfConcurrentClients_AreLinearizable()
    {
        var clients = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => OpenAsync()));
        var recorded = new RecordedClients(seed: 1);
        await recorded.RunAsync(clients, calls: 40, Cancel);
        Assert.True(recorded.Outcomes.GetValueOrDefault(CommitOutcome.Committed) > 20);
        recorded.AssertLinearizable();
        foreach (var client in clients)
        {
            await client.DisposeAsync();
        }
    }
}

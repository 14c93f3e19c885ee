using System.Text;
using Evenkeel.Core.Loop.Ports;
using Xunit;

namespace Evenkeel.Tests.Store.Conformance;

public abstract partial class StoreConformance
{
    private async Task<IReadOnlyList<string>> FollowAsync(long after, int batches)
    {
        var seen = new List<string>();
        await foreach (var batch in Store.WatchAsync(Key(""), after, Cancel))
        {
            Assert.All(batch.Entries, entry => Assert.Equal(batch.Revision, entry.ModRevision));
            Assert.True(batch.Revision > after, "revisions must grow");
            after = batch.Revision;
            var puts = batch.Entries.Select(entry => $"{entry.Key[_prefix.Length..]}={Encoding.UTF8.GetString(entry.Value.Span)}");
            seen.Add(string.Join(' ', puts.Concat(batch.Deleted.Select(key => $"-{key[_prefix.Length..]}")).Order(StringComparer.Ordinal)));
            if (seen.Count == batches)
            {
                break;
            }
        }

        return seen;
    }

    [Fact]
    public async Task Watch_FromThePast_TellsEachChangeOnceInOrder()
    {
        var start = await CommittedAsync(Put("a", "0"));
        await CommittedAsync(Put("a", "1"), Put("b", "1"));
        Assert.Equal(CommitOutcome.Committed, (await SettleAsync(Of([], new Write("elsewhere/" + Key("a"), new byte[1])))).Outcome);
        await CommittedAsync(Delete("a"), Put("c", "1"));
        await CommittedAsync(Put("c", "2"));
        Assert.Equal(["a=1 b=1", "-a c=1", "c=2"], await FollowAsync(start, 3));
    }

    [Fact]
    public async Task Watch_WhileChangesCome_MissesNone()
    {
        var start = await CommittedAsync(Put("n", "start"));
        var following = FollowAsync(start, 30);
        for (var i = 0; i < 30; i++)
        {
            await CommittedAsync(Put("n", $"{i}"));
        }

        Assert.Equal(Enumerable.Range(0, 30).Select(i => $"n={i}"), await following.WaitAsync(TimeSpan.FromSeconds(30), Cancel));
    }

    [Fact]
    public async Task Watch_FromACompactedRevision_SaysSo()
    {
        var start = await CommittedAsync(Put("a", "0"));
        await CommittedAsync(Put("a", "1"));
        var last = await CommittedAsync(Put("a", "2"));
        await CompactAsync(last);
        var compacted = await Assert.ThrowsAsync<CompactedException>(() => FollowAsync(start, 1));
        Assert.Equal(start, compacted.Revision);
    }

    [Fact]
    public async Task Watch_FromARevisionOfAnotherLife_SaysSo()
    {
        var last = await CommittedAsync(Put("a", "0"));
        await Assert.ThrowsAsync<CompactedException>(() => FollowAsync(last + 1_000_000, 1));
    }

    [Fact]
    public async Task Watch_Cancelled_Ends()
    {
        var start = await CommittedAsync(Put("a", "0"));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        await using var watch = Store.WatchAsync(Key(""), start, stop.Token).GetAsyncEnumerator(stop.Token);
        var next = watch.MoveNextAsync().AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
    }
}

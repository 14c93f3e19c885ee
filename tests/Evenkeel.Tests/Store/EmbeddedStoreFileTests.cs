using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Store.Embedded;
using Xunit;

namespace Evenkeel.Tests.Store;

/// <summary>What becomes of the file: over restarts, when it is damaged, and when two want it.</summary>
public sealed class EmbeddedStoreFileTests : IDisposable
{
    private readonly DirectoryInfo _directory = TestDirectory.InMemory("evenkeel-store-");
    private string Path => System.IO.Path.Combine(_directory.FullName, "store.db");
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Delete(recursive: true);

    private static Transaction Put(string key, int bytes = 1) => new(Guid.NewGuid(), [], [new Write(key, new byte[bytes])]);

    [Fact]
    public async Task Open_AfterRestart_HasRecordsRevisionAndAnswers()
    {
        var transaction = Put("a");
        CommitResult first;
        await using (var store = EmbeddedStore.Open(Path))
        {
            first = await store.CommitAsync(transaction, Cancel);
        }

        await using var again = EmbeddedStore.Open(Path);
        var snapshot = await again.ReadAsync("", Cancel);
        Assert.Equal((first.Revision, 1), (snapshot.Revision, snapshot.Entries.Count));
        Assert.Equal(first, await again.CommitAsync(transaction, Cancel));
        Assert.Equal(first.Revision, (await again.ReadAsync("", Cancel)).Revision);
        await Assert.ThrowsAsync<CompactedException>(async () => await again.WatchAsync("", first.Revision - 1, Cancel).GetAsyncEnumerator(Cancel).MoveNextAsync());
    }

    [Fact]
    public async Task Open_NewFile_IsTheOwnersAlone()
    {
        await using var store = EmbeddedStore.Open(Path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
    }

    [Fact]
    public async Task Open_HeldByAnother_SaysSo()
    {
        await using var store = EmbeddedStore.Open(Path);
        await store.CommitAsync(Put("a"), Cancel);
        var refused = Assert.Throws<StoreUnavailableException>(() => EmbeddedStore.Open(Path));
        Assert.Contains("another process holds it", refused.Message, StringComparison.Ordinal);
        Assert.Equal(CommitOutcome.Committed, (await store.CommitAsync(Put("b"), Cancel)).Outcome);
    }

    [Fact]
    public void Open_SomethingElse_SaysSoAndLeavesItAlone()
    {
        File.WriteAllText(Path, string.Concat(Enumerable.Repeat("not a database ", 1000)));
        var before = File.ReadAllBytes(Path);
        Assert.Contains("damaged", Assert.Throws<StoreUnavailableException>(() => EmbeddedStore.Open(Path)).Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(Path));
    }

    [Fact]
    public async Task Open_DamagedPage_SaysSoAndLeavesItAlone()
    {
        await using (var store = EmbeddedStore.Open(Path))
        {
            for (var i = 0; i < 40; i++)
            {
                await store.CommitAsync(Put($"k{i}", 2000), Cancel);
            }
        }

        var bytes = File.ReadAllBytes(Path);
        bytes.AsSpan(3 * 4096, 4096 * 4).Fill(0xee);
        File.WriteAllBytes(Path, bytes);
        Assert.Contains("damaged", Assert.Throws<StoreUnavailableException>(() => EmbeddedStore.Open(Path)).Message, StringComparison.Ordinal);
        Assert.Equal(bytes, File.ReadAllBytes(Path));
    }
}

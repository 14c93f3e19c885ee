using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Store.Embedded;

namespace Evenkeel.Tests.Store.Conformance;

public sealed class EmbeddedStoreConformanceTests : StoreConformance
{
    private readonly DirectoryInfo _directory = TestDirectory.InMemory("evenkeel-store-");
    private EmbeddedStore? _embedded;

    protected override Task<ICoordinationStore> OpenAsync() =>
        Task.FromResult<ICoordinationStore>(new Shared(_embedded ??= EmbeddedStore.Open(Path.Combine(_directory.FullName, "store.db"))));

    protected override Task CompactAsync(long revision)
    {
        _embedded!.Forget(revision);
        return Task.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _embedded!.DisposeAsync();
        _directory.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>The clients of an embedded store are the one object.</summary>
    private sealed class Shared(EmbeddedStore store) : ICoordinationStore
    {
        public Task<StoreSnapshot> ReadAsync(string prefix, CancellationToken cancellation) => store.ReadAsync(prefix, cancellation);
        public Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation) => store.CommitAsync(transaction, cancellation);
        public IAsyncEnumerable<WatchBatch> WatchAsync(string prefix, long afterRevision, CancellationToken cancellation) =>
            store.WatchAsync(prefix, afterRevision, cancellation);
        public Task<StoreStatus> GetStatusAsync(CancellationToken cancellation) => store.GetStatusAsync(cancellation);
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

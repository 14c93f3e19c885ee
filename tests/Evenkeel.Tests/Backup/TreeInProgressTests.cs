using System.Threading.Channels;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.Tests.Backup;

/// <summary>A directory completes although its entries are reserved by one thread while others fill them.</summary>
public sealed class TreeInProgressTests : IDisposable
{
    private const int Chunks = 200_000;
    private readonly DirectoryInfo _place = Directory.CreateTempSubdirectory("evenkeel-tree-");

    [Fact]
    public async Task Reserve_WhileOthersFill_CompletesWithEveryEntry()
    {
        var stop = TestContext.Current.CancellationToken;
        await using var repository = await ResticRepository.CreateAsync(new LocalBackend(_place.FullName), "p", TimeProvider.System, cancellation: stop);
        await repository.LoadIndexAsync(stop);
        await using var writer = new BlobWriter(repository);
        var sink = new TreeSink(writer);
        var root = new TreeInProgress(null, null);
        var file = new FileInProgress(root, root.Reserve());
        var id = ObjectId.Hash("chunk"u8);

        var places = Channel.CreateUnbounded<int>();
        var workers = Enumerable.Range(0, Math.Max(2, Environment.ProcessorCount)).Select(_ => Task.Run(async () =>
        {
            await foreach (var place in places.Reader.ReadAllAsync(stop))
            {
                await file.SetAsync(place, id, sink, stop);
            }
        }, stop)).ToList();
        for (var i = 0; i < Chunks; i++)
        {
            Assert.True(places.Writer.TryWrite(file.Reserve()));
        }
        places.Writer.Complete();
        await file.FinishAsync(new Node { Name = "f"u8.ToArray(), Kind = NodeKind.File }, sink, stop);
        await root.CloseAsync(sink, stop);
        await Task.WhenAll(workers);
        await writer.FlushAsync(stop);

        var stored = Assert.Single(await new BlobReader(repository).ReadTreeAsync(Assert.NotNull(root.Id), stop));
        Assert.Equal(Chunks, stored.Content!.Count);
    }

    public void Dispose() => _place.Delete(recursive: true);
}

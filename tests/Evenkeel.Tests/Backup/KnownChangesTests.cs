using System.Security.Cryptography;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.Tests.Backup;

/// <summary>A backup whose source knows what changed reads that and nothing else, and is complete.</summary>
public sealed class KnownChangesTests : IDisposable
{
    private const int Block = 65536;
    private readonly DirectoryInfo _place = Directory.CreateTempSubdirectory("evenkeel-changes-");

    private string Source => Path.Combine(_place.FullName, "source");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RunAsync_WithKnownChanges_ReadsThemAndTakesTheRestOver()
    {
        Directory.CreateDirectory(Source);
        var pages = new byte[(100 * Block) + 8192];
        RandomNumberGenerator.Fill(pages);
        await WriteAsync("pages", pages);
        await WriteAsync("grown", pages[..(3 * Block + 100)]);
        await WriteAsync("cut", pages[..(9 * Block)]);
        await WriteAsync("unknown", pages[..(2 * Block)]);
        await WriteAsync("gone", [1]);
        await using var repository = await ResticRepository.CreateAsync(new LocalBackend(Path.Combine(_place.FullName, "repository")), "p", TimeProvider.System, cancellation: Token);
        await repository.LoadIndexAsync(Token);
        var first = await RunAsync(repository, null);
        Assert.Null(first.Snapshot.Parent);
        Assert.Equal(first.Summary.TotalBytes, first.Summary.BytesRead);

        pages[(7 * Block) + 5] ^= 1;
        pages[^1] ^= 1;
        // What nobody tells of is not looked at: that is what makes it quick, and what the source answers for.
        var silent = (byte[])pages.Clone();
        silent[50 * Block] ^= 1;
        await WriteAsync("pages", silent);
        await WriteAsync("grown", pages[..(5 * Block)]);
        await WriteAsync("cut", pages[..(4 * Block + 7)]);
        await WriteAsync("unknown", pages[Block..(3 * Block)]);
        await WriteAsync("new", pages[..Block]);
        File.Delete(Path.Combine(Source, "gone"));
        var second = await RunAsync(repository, new KnownChanges(first.Snapshot, path => Path.GetFileName(path) switch
        {
            "pages" => new Changed(7 * Block, 100 * Block),
            "grown" or "cut" or "new" => new Changed(),
            _ => null,
        }));

        Assert.Equal((BackupType.Incremental, first.Snapshot.Id.ToString()), (second.ActualType, second.Snapshot.Parent));
        Assert.Equal(pages, await ReadAsync(repository, second.Snapshot, "pages"));
        Assert.Equal(pages[..(5 * Block)], await ReadAsync(repository, second.Snapshot, "grown"));
        Assert.Equal(pages[..(4 * Block + 7)], await ReadAsync(repository, second.Snapshot, "cut"));
        Assert.Equal(pages[Block..(3 * Block)], await ReadAsync(repository, second.Snapshot, "unknown"));
        Assert.Equal(pages[..Block], await ReadAsync(repository, second.Snapshot, "new"));
        await Assert.ThrowsAsync<Evenkeel.Backup.RepositoryException>(() => ReadAsync(repository, second.Snapshot, "gone"));
        // Two of 'pages', the last short one among them; behind the third of 'grown'; the end of 'cut'; all of the other two.
        Assert.Equal(Block + 8192 + (2 * Block) + 7 + (2 * Block) + Block, second.Summary.BytesRead);
        Assert.Equal((100 * Block) + 8192 + (5 * Block) + (4 * Block) + 7 + (2 * Block) + Block, second.Summary.TotalBytes);
        Assert.Empty((await new VerifyEngine(repository).RunAsync(1, new Random(1), new BackupProgress(), Token)).Problems);
    }

    public void Dispose() => _place.Delete(recursive: true);

    private Task WriteAsync(string name, byte[] content) => File.WriteAllBytesAsync(Path.Combine(Source, name), content, Token);

    private Task<BackupResult> RunAsync(ResticRepository repository, KnownChanges? changes) => new BackupEngine(repository).RunAsync(new BackupRequest
    {
        Paths = [Source], Type = changes is null ? BackupType.Full : BackupType.Incremental, Changes = changes, FixedBlocks = new PathPatterns(["*"]),
    }, new BackupProgress(), Token);

    private async Task<byte[]> ReadAsync(ResticRepository repository, Snapshot snapshot, string name)
    {
        using var content = new MemoryStream();
        await (await FileContent.FindAsync(repository, snapshot, Path.Combine(Source, name), Token)).CopyToAsync(content, Token);
        return content.ToArray();
    }

    private sealed class Changed(params long[] places) : IChangedBytes
    {
        public bool Any(long from, long to) => places.Any(at => from <= at && at < to);
    }
}

using System.Text.Json;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Debian's restic judges what we write, and we read what it writes.</summary>
[Trait("peer", "restic"), Trait("Machine", "shared")]
public sealed class ResticInteroperability : IDisposable
{
    private readonly Workplace _place = new();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Backup_EveryKindOfNode_ResticChecksAndRestoresIt(int version)
    {
        SourceSample.Make(_place);
        await using var repository = await CreateAsync(version);
        await BackUpAsync(repository);

        _place.Restic("check", "--read-data");
        var target = Path.Combine(_place.Root, "restored");
        _place.Restic("restore", "latest", "--target", target);
        Assert.Equal(WithoutHardLinkCounts(SourceSample.Describe(_place, _place.Source)),
            WithoutHardLinkCounts(SourceSample.Describe(_place, target + _place.Source)));
    }

    [Fact]
    public async Task Backup_OfTheSameSource_HasTheTreeThatResticMakes()
    {
        SourceSample.Make(_place);
        await using var repository = await CreateAsync(2);
        var ours = await BackUpAsync(repository);

        var message = _place.Restic("backup", "--json", "--force", _place.Source).Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1];
        var theirs = JsonDocument.Parse(_place.Restic("snapshots", "--json")).RootElement.EnumerateArray()
            .Single(s => s.GetProperty("id").GetString() != ours.Snapshot.Id.ToString());

        // The directories above the source change all the time; from the source down every byte must agree.
        await repository.LoadIndexAsync(TestContext.Current.CancellationToken);
        var expected = await SubtreeAsync(repository, theirs.GetProperty("tree").GetString()!);
        Assert.Equal(expected, await SubtreeAsync(repository, ours.Snapshot.Tree));
        // The same cuts: restic had no data to add.
        Assert.Equal(0, JsonDocument.Parse(message).RootElement.GetProperty("data_blobs").GetInt32());
    }

    private async Task<ObjectId> SubtreeAsync(ResticRepository repository, string root)
    {
        Assert.True(ObjectId.TryParse(root.AsSpan(), out var tree));
        foreach (var name in _place.Source.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var nodes = await new BlobReader(repository).ReadTreeAsync(tree, TestContext.Current.CancellationToken);
            tree = nodes.Single(n => n.DisplayName == name).Subtree!.Value;
        }
        return tree;
    }

    public void Dispose() => _place.Dispose();

    private async Task<ResticRepository> CreateAsync(int version)
    {
        var repository = await ResticRepository.CreateAsync(
            new LocalBackend(_place.Repository), Workplace.Password, TimeProvider.System, version, TestContext.Current.CancellationToken);
        await repository.LoadIndexAsync(TestContext.Current.CancellationToken);
        return repository;
    }

    private Task<BackupResult> BackUpAsync(ResticRepository repository) => new BackupEngine(repository).RunAsync(
        new BackupRequest { Paths = [_place.Source], Type = BackupType.Full }, new BackupProgress(), TestContext.Current.CancellationToken);

    // restic restores hard links only among the files of one restore; its directories' link counts are the file system's business.
    private static string WithoutHardLinkCounts(string description) =>
        string.Join('\n', description.Split('\n').Select(line => line.StartsWith('|') || line.Contains("|d|", StringComparison.Ordinal)
            ? line[..line.LastIndexOf('|', line.Length - 2)] : line));
}

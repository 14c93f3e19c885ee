using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Engine;

/// <summary>What a repair found and did.</summary>
/// <param name="IndexesReplaced">Index files that could not be read.</param>
/// <param name="PacksIndexed">Packs that no readable index named and whose own headers gave their blobs.</param>
/// <param name="PacksMissing">Packs that an index named and that are not there.</param>
/// <param name="PacksDamaged">Packs with bytes that are not what was written.</param>
/// <param name="BlobsSaved">Sound blobs of damaged packs, stored anew.</param>
/// <param name="BlobsLost">Blobs of damaged packs that cannot be read.</param>
/// <param name="Lost">Files and directories that no longer can be restored, with the first snapshot that has them.</param>
public sealed record RepairResult(
    int IndexesReplaced, int PacksIndexed, int PacksMissing, int PacksDamaged, int BlobsSaved, int BlobsLost, IReadOnlyList<string> Lost);

/// <summary>
/// Makes a damaged repository usable again: the index names exactly what can be read. The caller holds an exclusive lock.
/// </summary>
/// <remarks>What is lost stays lost, but a lost blob that no index names is stored again by the next backup of a file that still has it:
/// then older snapshots are whole too. Killed at any step, nothing readable is lost: saved blobs are stored and indexed first,
/// damaged packs go last.</remarks>
public sealed class RepairEngine(ResticRepository repository)
{
    private readonly List<IndexedPack> _keep = [];
    private readonly List<ObjectId> _damaged = [];
    private int _saved, _lost, _indexed;

    /// <summary>Runs; <paramref name="readAll"/> also reads every byte of every pack.</summary>
    public async Task<RepairResult> RunAsync(bool readAll, BackupProgress progress, CancellationToken cancellation)
    {
        var problems = await repository.LoadIndexAsync(cancellation).ConfigureAwait(false);
        var known = await LoadPacksAsync(cancellation).ConfigureAwait(false);
        var stored = (await repository.ListAsync(FileKind.Pack, cancellation).ConfigureAwait(false)).ToHashSet();
        var writer = new BlobWriter(repository, knowsIndex: false);
        await using var _ = writer.ConfigureAwait(false);
        foreach (var id in stored)
        {
            var named = known.GetValueOrDefault(id);
            if (named is not null && !readAll)
            {
                _keep.Add(named);
                continue;
            }
            await CheckAsync(id, named, writer, progress, cancellation).ConfigureAwait(false);
        }
        await writer.FlushAsync(cancellation).ConfigureAwait(false);
        var missing = known.Keys.Count(id => !stored.Contains(id));
        if (problems.Count + _indexed + _damaged.Count + missing > 0)
        {
            var old = await repository.ListAsync(FileKind.Index, cancellation).ConfigureAwait(false);
            await IndexRewrite.ReplaceAsync(repository, [.. _keep, .. writer.WrittenPacks], old, cancellation).ConfigureAwait(false);
            foreach (var pack in _damaged)
            {
                await repository.Backend.DeleteAsync(FileKind.Pack, pack.ToString(), cancellation).ConfigureAwait(false);
            }
            await repository.LoadIndexAsync(cancellation).ConfigureAwait(false);
        }
        var used = new UsedBlobs(repository);
        foreach (var snapshot in await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false))
        {
            await used.AddAsync(snapshot, cancellation).ConfigureAwait(false);
        }
        return new RepairResult(problems.Count, _indexed, missing, _damaged.Count, _saved, _lost, [.. used.Lost.Select(l => $"{l.Path}: {l.Reason}").Distinct()]);
    }

    private async Task CheckAsync(ObjectId id, IndexedPack? named, BlobWriter writer, BackupProgress progress, CancellationToken cancellation)
    {
        byte[] bytes;
        try
        {
            bytes = await repository.Backend.LoadAsync(FileKind.Pack, id.ToString(), 0, -1, cancellation).ConfigureAwait(false);
        }
        catch (RepositoryException e) when (e.Error == RepositoryError.Damaged)
        {
            bytes = [];
        }
        progress.AddBytes(bytes.Length);
        var header = TryHeader(bytes);
        if (ObjectId.Hash(bytes) == id && header is not null)
        {
            _indexed += named is null ? 1 : 0;
            _keep.Add(new IndexedPack(id, header));
            return;
        }
        // An index remembers what a damaged header no longer says.
        _damaged.Add(id);
        foreach (var blob in header ?? named?.Blobs ?? [])
        {
            try
            {
                if (blob.Offset + (long)blob.Length > bytes.Length)
                {
                    throw new RepositoryException(RepositoryError.Damaged, "beyond the end");
                }
                var content = BlobReader.Open(repository, blob, bytes.AsSpan((int)blob.Offset, (int)blob.Length), id);
                await writer.WriteAsync(blob.Kind, blob.Id, content, cancellation).ConfigureAwait(false);
                _saved++;
            }
            catch (RepositoryException e) when (e.Error == RepositoryError.Damaged)
            {
                _lost++;
            }
        }
    }

    private List<PackedBlob>? TryHeader(byte[] pack)
    {
        try
        {
            return PackHeader.Decode(pack, repository.Key);
        }
        catch (RepositoryException)
        {
            return null;
        }
    }

    private async Task<Dictionary<ObjectId, IndexedPack>> LoadPacksAsync(CancellationToken cancellation)
    {
        var packs = new Dictionary<ObjectId, IndexedPack>();
        foreach (var id in await repository.ListAsync(FileKind.Index, cancellation).ConfigureAwait(false))
        {
            try
            {
                foreach (var pack in IndexFile.Decode(await repository.LoadUnpackedAsync(FileKind.Index, id, cancellation).ConfigureAwait(false)))
                {
                    packs[pack.Id] = packs.TryGetValue(pack.Id, out var other) ? other with { Blobs = [.. other.Blobs.Union(pack.Blobs)] } : pack;
                }
            }
            catch (RepositoryException e) when (e.Error is RepositoryError.Damaged or RepositoryError.UnknownFormat)
            {
                // That it is damaged is counted; its packs are found by their headers.
            }
        }
        return packs;
    }
}

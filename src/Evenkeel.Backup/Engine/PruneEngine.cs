using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Engine;

/// <summary>What a prune does, or would do.</summary>
/// <param name="PacksDeleted">Packs without a needed blob, and those that were repacked.</param>
/// <param name="PacksRepacked">Packs whose needed blobs are written anew.</param>
/// <param name="PacksKept">Packs left alone.</param>
/// <param name="BytesFreed">What the repository becomes smaller, bytes.</param>
public sealed record PruneResult(int PacksDeleted, int PacksRepacked, int PacksKept, long BytesFreed);

/// <summary>
/// Removes blobs that no snapshot needs. The caller holds an exclusive lock.
/// </summary>
/// <remarks>
/// Killed at any step, nothing needed is lost: needed blobs of half-empty packs are stored again and indexed first, then one new
/// index of everything that stays is written, then the old indexes go, and only then packs that nothing names any more.
/// A repository with damage is refused: what looks unneeded may belong to what cannot be read.
/// </remarks>
public sealed class PruneEngine(ResticRepository repository)
{
    /// <summary>Runs; packs with more than <paramref name="tolerated"/> (0 to 1) unneeded bytes are repacked.</summary>
    public async Task<PruneResult> RunAsync(double tolerated, bool dryRun, CancellationToken cancellation)
    {
        var problems = await repository.LoadIndexAsync(cancellation).ConfigureAwait(false);
        if (problems.Count > 0)
        {
            throw new RepositoryException(RepositoryError.Damaged, $"nothing was pruned: {problems[0].Message}");
        }
        var used = new UsedBlobs(repository);
        foreach (var snapshot in await repository.LoadSnapshotsAsync(cancellation).ConfigureAwait(false))
        {
            await used.AddAsync(snapshot, cancellation).ConfigureAwait(false);
        }
        if (used.Lost.Count > 0)
        {
            throw new RepositoryException(RepositoryError.Damaged, $"nothing was pruned: {used.Lost[0].Path}: {used.Lost[0].Reason}");
        }
        var oldIndexes = await repository.ListAsync(FileKind.Index, cancellation).ConfigureAwait(false);
        var indexed = await LoadPacksAsync(oldIndexes, cancellation).ConfigureAwait(false);
        var stored = (await repository.Backend.ListAsync(FileKind.Pack, cancellation).ConfigureAwait(false))
            .Where(f => ObjectId.TryParse(f.Name.AsSpan(), out _)).ToDictionary(f => Parse(f.Name), f => f.Size);

        var keep = new List<IndexedPack>();
        var repack = new List<IndexedPack>();
        foreach (var pack in indexed.Values.Where(p => stored.ContainsKey(p.Id)))
        {
            long total = pack.Blobs.Sum(b => (long)b.Length);
            long needed = pack.Blobs.Where(b => IsNeededHere(used, pack.Id, b)).Sum(b => (long)b.Length);
            if (needed == 0)
            {
                continue;
            }
            (total - needed <= tolerated * total ? keep : repack).Add(pack);
        }
        var delete = stored.Keys.Except(keep.Select(p => p.Id)).ToList();
        var repackedBytes = repack.Sum(p => p.Blobs.Where(b => IsNeededHere(used, p.Id, b)).Sum(b => (long)b.Length));
        var result = new PruneResult(delete.Count, repack.Count, keep.Count, delete.Sum(id => stored[id]) - repackedBytes);
        if (dryRun || delete.Count == 0)
        {
            return result;
        }
        var fresh = await RepackAsync(repack, used, cancellation).ConfigureAwait(false);
        // The repacking writer indexed its packs as it went; the rewrite replaces those files too.
        var allIndexes = await repository.ListAsync(FileKind.Index, cancellation).ConfigureAwait(false);
        await IndexRewrite.ReplaceAsync(repository, [.. keep, .. fresh], allIndexes, cancellation).ConfigureAwait(false);
        foreach (var pack in delete)
        {
            await repository.Backend.DeleteAsync(FileKind.Pack, pack.ToString(), cancellation).ConfigureAwait(false);
        }
        await repository.LoadIndexAsync(cancellation).ConfigureAwait(false);
        return result;
    }

    // A blob that is stored twice is needed once: where the index finds it.
    private bool IsNeededHere(UsedBlobs used, ObjectId pack, PackedBlob blob) =>
        used.Blobs.Contains((blob.Kind, blob.Id)) && repository.Index.Find(blob.Kind, blob.Id)?.Pack == pack;

    private static ObjectId Parse(string name) => ObjectId.TryParse(name.AsSpan(), out var id) ? id : default;

    private async Task<Dictionary<ObjectId, IndexedPack>> LoadPacksAsync(List<ObjectId> indexes, CancellationToken cancellation)
    {
        var packs = new Dictionary<ObjectId, IndexedPack>();
        foreach (var id in indexes)
        {
            foreach (var pack in IndexFile.Decode(await repository.LoadUnpackedAsync(FileKind.Index, id, cancellation).ConfigureAwait(false)))
            {
                // An index may name a pack in parts; together they cover it.
                packs[pack.Id] = packs.TryGetValue(pack.Id, out var known)
                    ? known with { Blobs = [.. known.Blobs.Union(pack.Blobs)] } : pack;
            }
        }
        return packs;
    }

    private async Task<List<IndexedPack>> RepackAsync(List<IndexedPack> packs, UsedBlobs used, CancellationToken cancellation)
    {
        if (packs.Count == 0)
        {
            return [];
        }
        var writer = new BlobWriter(repository, knowsIndex: false);
        await using var _ = writer.ConfigureAwait(false);
        foreach (var pack in packs)
        {
            var bytes = await repository.Backend.LoadAsync(FileKind.Pack, pack.Id.ToString(), 0, -1, cancellation).ConfigureAwait(false);
            foreach (var blob in pack.Blobs.Where(b => IsNeededHere(used, pack.Id, b)))
            {
                var content = BlobReader.Open(repository, blob, bytes.AsSpan((int)blob.Offset, (int)blob.Length), pack.Id);
                await writer.WriteAsync(blob.Kind, blob.Id, content, cancellation).ConfigureAwait(false);
            }
        }
        await writer.FlushAsync(cancellation).ConfigureAwait(false);
        return [.. writer.WrittenPacks];
    }
}

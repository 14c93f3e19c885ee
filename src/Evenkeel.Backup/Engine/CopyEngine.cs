using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>
/// Copies snapshots to another repository: for another site, or to leave a master key that leaked (everything is sealed anew).
/// </summary>
/// <remarks>Snapshots that are there already are left out: a copy remembers in <c>original</c> what it was made of. Chunks are
/// copied as they are; only with the same polynomial do they deduplicate against what the target backs up itself.</remarks>
public sealed class CopyEngine(ResticRepository from, ResticRepository to)
{
    private const int Batch = 64;

    /// <summary>Copies; the snapshots made in the target. Both indexes must be loaded.</summary>
    public async Task<IReadOnlyList<Snapshot>> RunAsync(IEnumerable<Snapshot> snapshots, BackupProgress progress, CancellationToken cancellation)
    {
        var present = (await to.LoadSnapshotsAsync(cancellation).ConfigureAwait(false)).Select(s => s.Original ?? s.Id.ToString()).ToHashSet();
        var made = new List<Snapshot>();
        var writer = new BlobWriter(to);
        await using var _ = writer.ConfigureAwait(false);
        foreach (var snapshot in snapshots.Where(s => !present.Contains(s.Original ?? s.Id.ToString())))
        {
            var used = new UsedBlobs(from);
            await used.AddAsync(snapshot, cancellation).ConfigureAwait(false);
            if (used.Lost.Count > 0)
            {
                throw new RepositoryException(RepositoryError.Damaged, $"not copied: {used.Lost[0].Path}: {used.Lost[0].Reason}");
            }
            var wanted = used.Blobs.Where(b => !to.Index.Contains(b.Kind, b.Id)).Select(b => from.Index.Find(b.Kind, b.Id)!.Value);
            foreach (var batch in wanted.OrderBy(p => p.Pack).ThenBy(p => p.Blob.Offset).Chunk(Batch))
            {
                await CopyAsync(batch, writer, progress, cancellation).ConfigureAwait(false);
            }
            await writer.FlushAsync(cancellation).ConfigureAwait(false);
            made.Add(await to.SaveSnapshotAsync(
                snapshot with { Original = snapshot.Original ?? snapshot.Id.ToString(), Parent = null }, cancellation).ConfigureAwait(false));
        }
        return made;
    }

    private async Task CopyAsync(BlobPlace[] batch, BlobWriter writer, BackupProgress progress, CancellationToken cancellation)
    {
        var reader = new BlobReader(from);
        await Parallel.ForEachAsync(batch, cancellation, async (place, stop) =>
        {
            var content = await reader.ReadAsync(place.Blob.Kind, place.Blob.Id, stop).ConfigureAwait(false);
            await writer.WriteAsync(place.Blob.Kind, place.Blob.Id, content, stop).ConfigureAwait(false);
            progress.AddBytes(content.Length);
        }).ConfigureAwait(false);
    }
}

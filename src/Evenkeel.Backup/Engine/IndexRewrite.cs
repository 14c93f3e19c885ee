using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Engine;

/// <summary>Replaces all index files by new ones.</summary>
internal static class IndexRewrite
{
    /// <summary>First the new ones, then the old ones go: at every moment some index names each pack.</summary>
    public static async Task ReplaceAsync(
        ResticRepository repository, IEnumerable<IndexedPack> packs, IEnumerable<ObjectId> old, CancellationToken cancellation)
    {
        var written = new HashSet<ObjectId>();
        var part = new List<IndexedPack>();
        var blobs = 0;
        foreach (var pack in packs)
        {
            part.Add(pack);
            blobs += pack.Blobs.Count;
            if (blobs >= BlobWriter.IndexEveryBlobs)
            {
                written.Add(await repository.SaveUnpackedAsync(FileKind.Index, IndexFile.Encode(part), cancellation).ConfigureAwait(false));
                part.Clear();
                blobs = 0;
            }
        }
        if (part.Count > 0)
        {
            written.Add(await repository.SaveUnpackedAsync(FileKind.Index, IndexFile.Encode(part), cancellation).ConfigureAwait(false));
        }
        foreach (var index in old.Where(id => !written.Contains(id)))
        {
            await repository.Backend.DeleteAsync(FileKind.Index, index.ToString(), cancellation).ConfigureAwait(false);
        }
    }
}

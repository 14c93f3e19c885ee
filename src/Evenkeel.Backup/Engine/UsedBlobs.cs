using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>Walks the trees of snapshots and collects every blob that they need; each tree is read once.</summary>
internal sealed class UsedBlobs(ResticRepository repository)
{
    private readonly BlobReader _reader = new(repository);

    /// <summary>Needed blobs.</summary>
    public HashSet<(BlobKind Kind, ObjectId Id)> Blobs { get; } = [];

    /// <summary>What cannot be reached, with the path that needs it.</summary>
    public List<BackupIncident> Lost { get; } = [];

    public async Task AddAsync(Snapshot snapshot, CancellationToken cancellation)
    {
        var open = new Stack<(ObjectId Tree, string Path)>([(snapshot.TreeId, $"{snapshot.Id.Brief}:")]);
        while (open.TryPop(out var next))
        {
            cancellation.ThrowIfCancellationRequested();
            if (!Blobs.Add((BlobKind.Tree, next.Tree)))
            {
                continue;
            }
            List<Node> nodes;
            try
            {
                nodes = await _reader.ReadTreeAsync(next.Tree, cancellation).ConfigureAwait(false);
            }
            catch (RepositoryException e) when (e.Error is RepositoryError.Damaged or RepositoryError.NotFound)
            {
                Lost.Add(new BackupIncident(next.Path + "/", $"the directory is lost: {e.Message}", Lost: true));
                continue;
            }
            foreach (var node in nodes)
            {
                var path = $"{next.Path}/{node.DisplayName}";
                if (node.Subtree is { } subtree)
                {
                    open.Push((subtree, path));
                }
                foreach (var id in node.Content ?? [])
                {
                    if (!repository.Index.Contains(BlobKind.Data, id))
                    {
                        Lost.Add(new BackupIncident(path, $"the file is lost: blob {id.Brief} is in no index", Lost: true));
                    }
                    Blobs.Add((BlobKind.Data, id));
                }
            }
        }
    }
}

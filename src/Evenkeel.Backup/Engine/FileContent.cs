using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>One file of a snapshot, found by its path and read as a stream of chunks. The index must be loaded.</summary>
public sealed class FileContent
{
    private readonly BlobReader _reader;
    private readonly Node _node;

    private FileContent(BlobReader reader, Node node)
    {
        _reader = reader;
        _node = node;
    }

    /// <summary>Finds a file; fails with <see cref="RepositoryError.NotFound"/>.</summary>
    public static async Task<FileContent> FindAsync(ResticRepository repository, Snapshot snapshot, string path, CancellationToken cancellation)
    {
        var reader = new BlobReader(repository);
        ObjectId? tree = snapshot.TreeId;
        Node? node = null;
        foreach (var name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            node = tree is { } id ? (await reader.ReadTreeAsync(id, cancellation).ConfigureAwait(false)).Find(n => n.DisplayName == name) : null;
            tree = node?.Subtree;
        }
        return node is { Kind: NodeKind.File } ? new FileContent(reader, node)
            : throw new RepositoryException(RepositoryError.NotFound, $"snapshot {snapshot.Id.Brief} has no file {path}");
    }

    /// <summary>Equal for equal contents that were cut equally.</summary>
    public ObjectId Identity => ObjectId.Hash(System.Runtime.InteropServices.MemoryMarshal.AsBytes<ObjectId>((_node.Content ?? []).ToArray()));

    /// <summary>Writes the content; each chunk is checked before it is written.</summary>
    public async Task CopyToAsync(Stream output, CancellationToken cancellation)
    {
        foreach (var id in _node.Content ?? [])
        {
            await output.WriteAsync(await _reader.ReadAsync(BlobKind.Data, id, cancellation).ConfigureAwait(false), cancellation).ConfigureAwait(false);
        }
    }
}

using System.Text;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>A file that a backup adds although the source does not have it.</summary>
/// <param name="Path">Absolute; its directory is in the backup.</param>
/// <param name="Content">All of it.</param>
public sealed record GraftedFile(string Path, byte[] Content);

/// <summary>Puts files into a stored tree: new trees on the way to the root, everything else shared.</summary>
internal sealed class TreeGraft(ResticRepository repository, BlobWriter writer)
{
    private const int LongestChunk = 1 << 20;
    private readonly BlobReader _reader = new(repository);

    /// <summary>Adds or replaces a file; the new root. The writer must be flushed before (so that trees can be read) and after.</summary>
    public async Task<ObjectId> AddAsync(ObjectId root, GraftedFile file, CancellationToken cancellation)
    {
        var content = new List<ObjectId>();
        foreach (var chunk in file.Content.Chunk(LongestChunk))
        {
            content.Add(ObjectId.Hash(chunk));
            await writer.WriteAsync(BlobKind.Data, content[^1], chunk, cancellation).ConfigureAwait(false);
        }
        var names = file.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return await AddAsync(root, names, content, file.Content.Length, cancellation).ConfigureAwait(false);
    }

    private async Task<ObjectId> AddAsync(ObjectId tree, ArraySegment<string> names, List<ObjectId> content, int size, CancellationToken cancellation)
    {
        var nodes = await _reader.ReadTreeAsync(tree, cancellation).ConfigureAwait(false);
        var name = Encoding.UTF8.GetBytes(names[0]);
        var at = nodes.FindIndex(n => n.Name.AsSpan().SequenceEqual(name));
        if (names.Count > 1)
        {
            if (at < 0 || nodes[at].Subtree is not { } below)
            {
                throw new RepositoryException(RepositoryError.NotFound, $"the backup has no directory {names[0]} to put a file into");
            }
            nodes[at] = nodes[at] with { Subtree = await AddAsync(below, names[1..], content, size, cancellation).ConfigureAwait(false) };
        }
        else
        {
            // Owned and dated as its neighbours: a server must be able to read it after a restore.
            var like = nodes.Find(n => n.Kind == NodeKind.File)
                ?? throw new RepositoryException(RepositoryError.NotFound, "the directory to put a file into has no file");
            var now = Timestamp.From(repository.Time.GetLocalNow());
            var node = like with
            {
                Name = name, Content = content, Size = (ulong)size, Modified = now, Accessed = now, Changed = now, Inode = 0, Links = 1, ExtendedAttributes = [],
            };
            nodes.RemoveAll(n => n.Name.AsSpan().SequenceEqual(name));
            nodes.Add(node);
            nodes.Sort((a, b) => a.Name.AsSpan().SequenceCompareTo(b.Name));
        }
        var json = TreeJson.Encode(nodes);
        var id = ObjectId.Hash(json);
        await writer.WriteAsync(BlobKind.Tree, id, json, cancellation).ConfigureAwait(false);
        return id;
    }
}

using System.Text;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Postgres;

/// <summary>The files of a base backup that is stored but has no snapshot yet, as its manifest names them.</summary>
internal sealed class BackedUpFiles(ResticRepository repository, ObjectId root)
{
    private readonly BlobReader _reader = new(repository);
    private readonly List<ManifestFile> _files = [];

    /// <summary>Those of the server's directory and of the tablespaces beside it or within; those of the log are left out.</summary>
    public async Task<IReadOnlyList<ManifestFile>> ListAsync(string directory, IEnumerable<(uint Oid, string Location)> tablespaces, CancellationToken cancellation)
    {
        await AddAsync(directory, "", cancellation).ConfigureAwait(false);
        foreach (var (oid, location) in tablespaces)
        {
            await AddAsync(location, $"pg_tblspc/{oid}/", cancellation).ConfigureAwait(false);
        }
        return _files;
    }

    private async Task AddAsync(string directory, string prefix, CancellationToken cancellation)
    {
        ObjectId? tree = root;
        foreach (var name in directory.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            tree = tree is { } id ? (await _reader.ReadTreeAsync(id, cancellation).ConfigureAwait(false)).Find(n => n.DisplayName == name)?.Subtree : null;
        }
        await AddAsync(tree ?? throw new RepositoryException(RepositoryError.NotFound, $"{directory} is not in the base backup"), Encoding.UTF8.GetBytes(prefix), cancellation).ConfigureAwait(false);
    }

    private async Task AddAsync(ObjectId tree, byte[] prefix, CancellationToken cancellation)
    {
        foreach (var node in await _reader.ReadTreeAsync(tree, cancellation).ConfigureAwait(false))
        {
            byte[] path = [.. prefix, .. node.Name];
            if (node.Kind == NodeKind.File)
            {
                _files.Add(new ManifestFile(path, node.Size, node.Modified.ToDateTimeOffset()));
            }
            else if (node.Subtree is { } below && !path.AsSpan().SequenceEqual("pg_wal"u8))
            {
                await AddAsync(below, [.. path, (byte)'/'], cancellation).ConfigureAwait(false);
            }
        }
    }
}

using System.Text;
using Evenkeel.Backup.Files;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>Walks the source in byte order, takes unchanged files over from the parent, and hands the rest to the reader.</summary>
internal sealed class SourceWalker(
    ResticRepository repository, BackupRequest request, FileReader reader, ChunkPipeline pipeline, TreeSink trees, BackupProgress progress)
{
    private readonly BlobReader _blobs = new(repository);
    private readonly NodeReader _nodes = new();
    private readonly List<BackupIncident> _incidents = [];
    private readonly Dictionary<ObjectId, Task<Dictionary<ByteKey, Node>?>> _ahead = [];

    public IReadOnlyList<BackupIncident> Incidents => _incidents;

    /// <summary>Walks absolute paths; the root tree, complete once all chunks are stored.</summary>
    public async Task<TreeInProgress> WalkAsync(IReadOnlyList<string> paths, Snapshot? parent, CancellationToken cancellation)
    {
        var root = new TreeInProgress(null, null);
        var old = parent is null ? null : await LoadOldAsync(parent.TreeId, cancellation).ConfigureAwait(false);
        var targets = paths.Select(p => Encoding.UTF8.GetBytes(p)).ToList();
        if (targets is [[(byte)'/']])
        {
            await WalkNamesAsync(root, targets[0], old, FileSystem.Status(targets[0]), cancellation).ConfigureAwait(false);
        }
        else
        {
            await WalkTargetsAsync(root, "/"u8.ToArray(), targets, old, cancellation).ConfigureAwait(false);
        }
        await pipeline.CloseAsync(root, cancellation).ConfigureAwait(false);
        return root;
    }

    /// <summary>The directories above what was asked for: only the entries that lead there.</summary>
    private async Task WalkTargetsAsync(
        TreeInProgress tree, byte[] directory, List<byte[]> targets, Dictionary<ByteKey, Node>? old, CancellationToken cancellation)
    {
        var prefix = directory.Length == 1 ? 1 : directory.Length + 1;
        foreach (var group in targets.GroupBy(t => new ByteKey(Name(t, prefix))).OrderBy(g => g.Key))
        {
            var path = FileSystem.Join(directory, group.Key.Bytes);
            var inside = group.Where(t => t.Length > path.Length).ToList();
            var before = old?.GetValueOrDefault(group.Key);
            if (inside.Count < group.Count())
            {
                await TryWalkEntryAsync(tree, path, before, null, cancellation).ConfigureAwait(false);
                continue;
            }
            var node = _nodes.Read(path, FileSystem.Status(path));
            if (node.Kind == NodeKind.Symlink)
            {
                throw new RepositoryException(RepositoryError.NotFound, $"{FileSystem.Display(path)} is a symbolic link on the way; name the real path");
            }
            var child = new TreeInProgress(tree, node);
            var below = before?.Subtree is { } subtree ? await LoadOldAsync(subtree, cancellation).ConfigureAwait(false) : null;
            await WalkTargetsAsync(child, path, inside, below, cancellation).ConfigureAwait(false);
            await pipeline.CloseAsync(child, cancellation).ConfigureAwait(false);
        }
    }

    private static byte[] Name(byte[] path, int from)
    {
        var rest = path.AsSpan(from);
        var slash = rest.IndexOf((byte)'/');
        return (slash < 0 ? rest : rest[..slash]).ToArray();
    }

    private async Task WalkNamesAsync(
        TreeInProgress tree, byte[] directory, Dictionary<ByteKey, Node>? old, Native.Statx status, CancellationToken cancellation)
    {
        var names = FileSystem.List(directory);
        for (int i = 0, next = 0; i < names.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            next = ReadAhead(names, i, next, old, cancellation);
            var name = names[i];
            var path = FileSystem.Join(directory, name);
            if (request.Excludes.Matches(path))
            {
                continue;
            }
            await TryWalkEntryAsync(tree, path, old?.GetValueOrDefault(new ByteKey(name)), status, cancellation).ConfigureAwait(false);
        }
    }

    // While a directory is walked, the parent's tree of the one after it is read, so that the walk need not wait for it.
    private int ReadAhead(List<byte[]> names, int at, int next, Dictionary<ByteKey, Node>? old, CancellationToken cancellation)
    {
        if (old is null || next > at)
        {
            return next;
        }
        for (next = at + 1; next < names.Count; next++)
        {
            if (old.TryGetValue(new ByteKey(names[next]), out var before) && before.Subtree is { } subtree)
            {
                _ahead.TryAdd(subtree, Task.Run(() => ReadOldAsync(subtree, cancellation), CancellationToken.None));
                break;
            }
        }
        return next;
    }

    /// <summary>One unreadable entry must not end the backup: it is left out and reported.</summary>
    private async Task TryWalkEntryAsync(
        TreeInProgress tree, byte[] path, Node? old, Native.Statx? directory, CancellationToken cancellation)
    {
        try
        {
            var entry = FileSystem.Status(path);
            var crosses = request.OneFileSystem && directory is { } above
                && (entry.HolderMajor, entry.HolderMinor) != (above.HolderMajor, above.HolderMinor);
            await WalkEntryAsync(tree, path, old, entry, cancellation, crosses).ConfigureAwait(false);
        }
        catch (FileFailure e)
        {
            Report(path, e.Error == Native.ErrorNoEntry ? "vanished before it was read" : e.Message, e.Error != Native.ErrorNoEntry);
        }
    }

    private async Task WalkEntryAsync(
        TreeInProgress tree, byte[] path, Node? old, Native.Statx status, CancellationToken cancellation, bool crosses = false)
    {
        var (kind, _) = GoFileMode.FromLinux(status.Mode);
        switch (kind)
        {
            case NodeKind.Socket or NodeKind.Other:
                break;
            case NodeKind.Dir:
                var node = _nodes.Read(path, status);
                // Listing may fail: before a place in the parent is taken, so that the directory's own entry is kept.
                var child = new TreeInProgress(tree, node);
                if (!crosses)
                {
                    await WalkDirectoryAsync(child, path, old, status, cancellation).ConfigureAwait(false);
                }
                await pipeline.CloseAsync(child, cancellation).ConfigureAwait(false);
                break;
            case NodeKind.File:
                await WalkFileAsync(tree, path, old, status, cancellation).ConfigureAwait(false);
                break;
            default:
                var other = _nodes.Read(path, status);
                progress.AddFile();
                await tree.SetAsync(tree.Reserve(), other, trees, cancellation).ConfigureAwait(false);
                break;
        }
    }

    private async Task WalkDirectoryAsync(
        TreeInProgress tree, byte[] path, Node? old, Native.Statx status, CancellationToken cancellation)
    {
        var below = old?.Subtree is { } subtree ? await LoadOldAsync(subtree, cancellation).ConfigureAwait(false) : null;
        try
        {
            await WalkNamesAsync(tree, path, below, status, cancellation).ConfigureAwait(false);
        }
        catch (FileFailure e)
        {
            Report(path, e.Message, lost: true);
        }
    }

    private async Task WalkFileAsync(TreeInProgress tree, byte[] path, Node? old, Native.Statx status, CancellationToken cancellation)
    {
        var node = _nodes.Read(path, status);
        if (request.Changes is null && old is { Kind: NodeKind.File, Content: not null } && IsUnchanged(old, node)
            && old.Content.All(id => repository.Index.Contains(BlobKind.Data, id)))
        {
            progress.AddUnmodified();
            progress.AddFile();
            progress.AddBytesTakenOver((long)node.Size);
            await tree.SetAsync(tree.Reserve(), node with { Content = old.Content }, trees, cancellation).ConfigureAwait(false);
            return;
        }
        using var handle = FileSystem.OpenRead(path);
        var file = new FileInProgress(tree, tree.Reserve());
        Node? finished = null;
        try
        {
            var fixedBlocks = request.FixedBlocks.Matches(path);
            var size = fixedBlocks && TakenOver(path, old, node) is { } chunks
                ? await reader.ReadChangedAsync(handle, (long)node.Size, chunks, file, progress, cancellation).ConfigureAwait(false)
                : await reader.ReadAsync(handle, (long)node.Size, fixedBlocks, file, progress, cancellation).ConfigureAwait(false);
            finished = node with { Size = (ulong)size };
            NoteChange(path, node, finished);
            if (old is null)
            {
                progress.AddNew();
            }
            else if (request.Changes is not null && IsUnchanged(old, node))
            {
                // It was looked at all the same; for counting, times tell enough.
                progress.AddUnmodified();
            }
            else
            {
                progress.AddChanged();
            }
            progress.AddFile();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Report(path, e.Message, lost: true);
        }
        await file.FinishAsync(finished, trees, cancellation).ConfigureAwait(false);
    }

    private TakenOverChunks? TakenOver(byte[] path, Node? old, Node now) =>
        old is { Kind: NodeKind.File, Content: not null } && request.Changes?.Of(Encoding.UTF8.GetString(path)) is { } changes
            ? new TakenOverChunks(old, (long)now.Size, changes, id => repository.Index.Contains(BlobKind.Data, id)) : null;

    private static bool IsUnchanged(Node old, Node now) =>
        old.Size == now.Size && old.Inode == now.Inode && old.Modified.SameInstant(now.Modified) && old.Changed.SameInstant(now.Changed);

    private void NoteChange(byte[] path, Node before, Node read)
    {
        try
        {
            var after = FileSystem.Status(path);
            if (read.Size != before.Size || after.Modified.Seconds != before.Modified.Seconds || after.Modified.Nanoseconds != before.Modified.Nanoseconds)
            {
                Report(path, "changed while it was read; the backup has a mixture", lost: false);
            }
        }
        catch (FileFailure)
        {
            Report(path, "vanished while it was read; the backup has what was read", lost: false);
        }
    }

    private Task<Dictionary<ByteKey, Node>?> LoadOldAsync(ObjectId tree, CancellationToken cancellation) =>
        _ahead.Remove(tree, out var begun) ? begun : ReadOldAsync(tree, cancellation);

    private async Task<Dictionary<ByteKey, Node>?> ReadOldAsync(ObjectId tree, CancellationToken cancellation)
    {
        try
        {
            var nodes = await _blobs.ReadTreeAsync(tree, cancellation).ConfigureAwait(false);
            var named = new Dictionary<ByteKey, Node>(nodes.Count);
            foreach (var node in nodes)
            {
                named.TryAdd(new ByteKey(node.Name), node);
            }
            return named;
        }
        catch (RepositoryException e) when (e.Error is RepositoryError.Damaged or RepositoryError.NotFound)
        {
            // A parent is only a shortcut: with a damaged one everything below is read again, which also repairs it.
            return null;
        }
    }

    private void Report(byte[] path, string reason, bool lost) => _incidents.Add(new BackupIncident(FileSystem.Display(path), reason, lost));
}

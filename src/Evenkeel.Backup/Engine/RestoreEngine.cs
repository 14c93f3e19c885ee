using System.Collections.Concurrent;
using System.Text;
using Evenkeel.Backup.Files;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>
/// Restores a snapshot: first directories, links and devices, then the files' chunks pack by pack, last the directories' metadata.
/// </summary>
/// <remarks>Files that are there already with the same size and time are kept; others are replaced, never written through a link.
/// What cannot be restored is reported and the rest goes on. The caller holds a shared lock and has loaded the index.</remarks>
public sealed class RestoreEngine(ResticRepository repository)
{
    private readonly BlobReader _blobs = new(repository);
    private readonly ConcurrentQueue<BackupIncident> _problems = new();
    private readonly List<RestoreStep> _steps = [];
    private readonly List<RestoredFile> _files = [];
    private readonly List<(byte[] Path, Node Node)> _directories = [];
    private readonly List<(RestoredFile? Original, byte[] Existing, byte[] Path, Node Node)> _hardLinks = [];
    private readonly Dictionary<(ulong Device, ulong Inode), (RestoredFile? File, byte[] Path)> _linked = [];
    private bool _dryRun;
    private long _count;
    private long _bytes;

    /// <summary>Runs a restore; an engine restores once.</summary>
    public async Task<RestoreResult> RunAsync(Snapshot snapshot, RestoreRequest request, BackupProgress progress, CancellationToken cancellation)
    {
        var target = Encoding.UTF8.GetBytes(Path.GetFullPath(request.Target));
        _dryRun = request.DryRun;
        if (!request.DryRun)
        {
            Directory.CreateDirectory(request.Target);
        }
        var wanted = request.Path is null ? [] : request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries).Select(Encoding.UTF8.GetBytes).ToList();
        if (!await RestoreTreeAsync(snapshot.TreeId, target, wanted, request.DryRun, progress, cancellation).ConfigureAwait(false) && wanted.Count > 0)
        {
            throw new RepositoryException(RepositoryError.NotFound, $"snapshot {snapshot.Id.Brief} has no {request.Path}");
        }
        if (!request.DryRun)
        {
            await WriteFilesAsync(progress, cancellation).ConfigureAwait(false);
            foreach (var (original, existing, path, node) in _hardLinks)
            {
                if (original is not { Failed: true })
                {
                    Attempt(path, () => FileWriting.MakeHardLink(existing, path));
                }
                else
                {
                    Report(path, $"its content is lost with {FileSystem.Display(existing)}");
                }
            }
            // Deepest first: making an entry changes its directory's time.
            for (var i = _directories.Count - 1; i >= 0; i--)
            {
                var (path, node) = _directories[i];
                Attempt(path, () => FileWriting.ApplyMetadata(path, node));
            }
        }
        return new RestoreResult(_count, _bytes, [.. _problems], _steps);
    }

    private async Task<bool> RestoreTreeAsync(
        ObjectId tree, byte[] target, List<byte[]> wanted, bool dryRun, BackupProgress progress, CancellationToken cancellation)
    {
        List<Node> nodes;
        try
        {
            nodes = await _blobs.ReadTreeAsync(tree, cancellation).ConfigureAwait(false);
        }
        catch (RepositoryException e) when (e.Error is RepositoryError.Damaged or RepositoryError.NotFound)
        {
            Report(target, $"the directory's content is lost: {e.Message}");
            return true;
        }
        var names = new HashSet<ByteKey>();
        var found = false;
        foreach (var node in nodes)
        {
            if (wanted.Count > 0 && !node.Name.AsSpan().SequenceEqual(wanted[0]))
            {
                continue;
            }
            var path = FileSystem.Join(target, node.Name);
            // A repository is input: such a name would write outside the target.
            if (node.Name.Length == 0 || node.Name.Contains((byte)'/') || node.Name.Contains((byte)0)
                || node.Name.AsSpan().SequenceEqual("."u8) || node.Name.AsSpan().SequenceEqual(".."u8) || !names.Add(new ByteKey(node.Name)))
            {
                Report(path, "refused: a tree must not have such a name, or the same one twice");
                continue;
            }
            var below = wanted.Count > 0 ? wanted[1..] : wanted;
            if (node.Kind == NodeKind.Dir)
            {
                found |= await RestoreDirectoryAsync(path, node, below, dryRun, progress, cancellation).ConfigureAwait(false);
            }
            else if (below.Count == 0)
            {
                found = true;
                Attempt(path, () => Plan(path, node, dryRun, progress));
            }
        }
        return found;
    }

    private async Task<bool> RestoreDirectoryAsync(
        byte[] path, Node node, List<byte[]> below, bool dryRun, BackupProgress progress, CancellationToken cancellation)
    {
        if (dryRun)
        {
            Step(path, FileSystem.Exists(path) ? "keep" : "create");
        }
        else if (!Attempt(path, () => FileWriting.MakeDirectory(path)))
        {
            return true;
        }
        _directories.Add((path, node));
        return node.Subtree is not { } subtree
            || await RestoreTreeAsync(subtree, path, below, dryRun, progress, cancellation).ConfigureAwait(false) || below.Count == 0;
    }

    private void Plan(byte[] path, Node node, bool dryRun, BackupProgress progress)
    {
        if (node.Kind is NodeKind.Socket or NodeKind.Other)
        {
            return;
        }
        _count++;
        var exists = FileSystem.Exists(path);
        if (exists && node.Kind == NodeKind.File && IsSame(path, node))
        {
            Step(path, "keep");
            _bytes += (long)node.Size;
            progress.AddFile();
            progress.AddBytes((long)node.Size);
            return;
        }
        Step(path, exists ? "replace" : "create");
        if (dryRun)
        {
            return;
        }
        FileWriting.Clear(path);
        if (node.Kind != NodeKind.File)
        {
            FileWriting.MakeSpecial(path, node);
            FileWriting.ApplyMetadata(path, node);
            return;
        }
        if (node.Links > 1 && _linked.TryGetValue((node.DeviceId, node.Inode), out var original))
        {
            _hardLinks.Add((original.File, original.Path, path, node));
            return;
        }
        RestoredFile? file = null;
        if (node.Content is { Count: > 0 })
        {
            file = new RestoredFile(path, node);
            _files.Add(file);
        }
        else
        {
            FileWriting.MakeEmptyFile(path);
            FileWriting.ApplyMetadata(path, node);
            progress.AddFile();
        }
        if (node.Links > 1)
        {
            _linked[(node.DeviceId, node.Inode)] = (file, path);
        }
    }

    private static bool IsSame(byte[] path, Node node)
    {
        var status = FileSystem.Status(path);
        return GoFileMode.FromLinux(status.Mode).Kind == NodeKind.File && status.Size == node.Size
            && status.Modified.Seconds == node.Modified.Seconds && status.Modified.Nanoseconds == node.Modified.Nanoseconds;
    }

    private async Task WriteFilesAsync(BackupProgress progress, CancellationToken cancellation)
    {
        var uses = new Dictionary<ObjectId, List<(RestoredFile File, long Offset)>>();
        var places = new List<BlobPlace>();
        foreach (var file in _files)
        {
            long offset = 0;
            foreach (var id in file.Node.Content!)
            {
                if (repository.Index.Find(BlobKind.Data, id) is not { } place)
                {
                    Fail(file, $"its content is lost: blob {id.Brief} is in no index");
                    continue;
                }
                if (!uses.TryGetValue(id, out var list))
                {
                    uses.Add(id, list = []);
                    places.Add(place);
                }
                list.Add((file, offset));
                offset += place.Blob.ContentLength;
            }
        }
        await new PackFetcher(repository).FetchAsync(
            places,
            (blob, content, problem) =>
            {
                foreach (var (file, offset) in uses[blob.Id])
                {
                    if (problem is not null)
                    {
                        Fail(file, $"its content is lost: {problem.Message}");
                        continue;
                    }
                    try
                    {
                        progress.AddBytes(content.Length);
                        Interlocked.Add(ref _bytes, content.Length);
                        if (file.Write(offset, content))
                        {
                            Attempt(file.Path, () => FileWriting.ApplyMetadata(file.Path, file.Node));
                            progress.AddFile();
                        }
                    }
                    catch (Exception e) when (e is FileFailure or IOException)
                    {
                        Fail(file, e.Message);
                    }
                }
            },
            cancellation).ConfigureAwait(false);
    }

    private void Fail(RestoredFile file, string reason)
    {
        if (file.Fail())
        {
            Report(file.Path, reason);
        }
    }

    private bool Attempt(byte[] path, Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (FileFailure e)
        {
            Report(path, e.Message);
            return false;
        }
    }

    private void Step(byte[] path, string action)
    {
        if (_dryRun)
        {
            _steps.Add(new RestoreStep(FileSystem.Display(path), action));
        }
    }

    private void Report(byte[] path, string reason) => _problems.Enqueue(new BackupIncident(FileSystem.Display(path), reason, Lost: true));
}

using System.Text;
using Evenkeel.Backup.Chunking;
using Evenkeel.Backup.Files;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>
/// Makes a snapshot: one reader walks and cuts, all processors hash, compress and seal, uploads run beside them.
/// </summary>
/// <remarks>The caller holds a shared lock and has loaded the index. Killed at any moment, nothing that a snapshot refers to is
/// missing: the snapshot is written last.</remarks>
public sealed class BackupEngine(ResticRepository repository)
{
    /// <summary>Runs a backup.</summary>
    public async Task<BackupResult> RunAsync(BackupRequest request, BackupProgress progress, CancellationToken cancellation)
    {
        var started = repository.Time.GetLocalNow();
        var paths = Normalize(request.Paths);
        // A full backup looks at no other snapshot, however many there are.
        var parent = request.Changes is { } changes ? changes.Since : BackupTags.IsWhole(request.Type) ? null : BackupTags.ParentFor(request.Type,
            await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false), request.Host, paths, started);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var writer = new BlobWriter(repository, request.PackSize);
        await using var _ = writer.ConfigureAwait(false);
        var trees = new TreeSink(writer);
        var pipeline = new ChunkPipeline(writer, trees, cancel);
        var walker = new SourceWalker(repository, request, new FileReader(new RabinCutter(repository.Polynomial), pipeline), pipeline, trees, progress);
        ObjectId root;
        try
        {
            var tree = await walker.WalkAsync(paths, parent, cancel.Token).ConfigureAwait(false);
            await pipeline.CompleteAsync().ConfigureAwait(false);
            root = tree.Id ?? throw new InvalidOperationException("a directory was never completed; no snapshot was written");
        }
        catch (Exception e)
        {
            await cancel.CancelAsync().ConfigureAwait(false);
            try
            {
                await pipeline.CompleteAsync().ConfigureAwait(false);
            }
            catch (Exception worker) when (e is OperationCanceledException && worker is not OperationCanceledException)
            {
                // The reader was only told to stop; the worker knows why.
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(worker);
            }
            catch (OperationCanceledException)
            {
                // told to stop by the lines above
            }
            throw;
        }
        await writer.FlushAsync(cancellation).ConfigureAwait(false);
        if (request.Finish is { } finish)
        {
            var graft = new TreeGraft(repository, writer);
            foreach (var file in await finish(root).ConfigureAwait(false))
            {
                root = await graft.AddAsync(root, file, cancellation).ConfigureAwait(false);
                await writer.FlushAsync(cancellation).ConfigureAwait(false);
            }
        }

        var actual = parent is null && !BackupTags.IsWhole(request.Type) ? BackupType.Full : request.Type;
        var summary = new SnapshotSummary
        {
            Start = Timestamp.From(started).ToString(),
            End = Timestamp.From(repository.Time.GetLocalNow()).ToString(),
            FilesNew = progress.FilesNew,
            FilesChanged = progress.FilesChanged,
            FilesUnmodified = progress.FilesUnmodified,
            DataBlobs = pipeline.Added,
            TreeBlobs = trees.Added,
            DataAdded = pipeline.AddedBytes + trees.AddedBytes,
            DataAddedPacked = writer.StoredBytes,
            TotalFiles = progress.Files,
            TotalBytes = progress.Bytes,
            BytesRead = progress.Bytes - progress.BytesTakenOver,
        };
        string[] tags = request.TagType ? [BackupTags.Of(actual), .. request.Tags] : [.. request.Tags];
        var snapshot = await repository.SaveSnapshotAsync(
            new Snapshot
            {
                Time = Timestamp.From(started).ToString(),
                Parent = parent?.Id.ToString(),
                Tree = root.ToString(),
                Paths = paths,
                Hostname = request.Host,
                Username = Environment.UserName,
                UserId = Native.UserId,
                GroupId = Native.GroupId,
                Excludes = request.Excludes.Patterns.Count > 0 ? request.Excludes.Patterns : null,
                Tags = tags.Length > 0 ? tags : null,
                Summary = summary,
            },
            cancellation).ConfigureAwait(false);
        return new BackupResult(snapshot, summary, walker.Incidents, request.Type, actual);
    }

    /// <summary>Absolute, without '..' and doubled slashes, sorted, and none within another.</summary>
    private static List<string> Normalize(IReadOnlyList<string> paths)
    {
        var result = new List<string>();
        foreach (var path in paths.Select(p => Path.TrimEndingDirectorySeparator(Path.GetFullPath(p))).Distinct().Order(StringComparer.Ordinal))
        {
            if (!FileSystem.Exists(Encoding.UTF8.GetBytes(path)))
            {
                throw new RepositoryException(RepositoryError.NotFound, $"{path} does not exist; nothing was backed up");
            }
            if (!result.Exists(other => other == "/" || path.StartsWith(other + "/", StringComparison.Ordinal)))
            {
                result.Add(path);
            }
        }
        return result;
    }
}

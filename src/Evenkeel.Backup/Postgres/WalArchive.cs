using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Postgres;

/// <summary>The archived write-ahead log of a server: each file is a snapshot of its own, durable when the archive command ends.</summary>
public sealed class WalArchive(ResticRepository repository)
{
    private const int Parallel = 4;
    private static readonly TimeSpan LongestArchiving = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(2);

    /// <summary>Stores one file as the server's <c>archive_command</c> gives it. Done twice, it is there twice, with one content.</summary>
    public async Task PushAsync(string server, string path, CancellationToken cancellation)
    {
        var name = Path.GetFileName(path);
        if (!WalFile.IsArchivable(name))
        {
            throw new RepositoryException(RepositoryError.Refused, $"{name} is no file of PostgreSQL's write-ahead log");
        }
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        // pg_wal may be a link to another disk, and a backup follows none.
        var real = Path.Combine(new DirectoryInfo(folder).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? folder, name);
        var result = await new BackupEngine(repository).RunAsync(
            new BackupRequest { Paths = [real], Type = BackupType.Full, Tags = [PostgresTags.OfServer(server), PostgresTags.OfSegment(name)], TagType = false },
            new BackupProgress(), cancellation).ConfigureAwait(false);
        if (result.Incidents.Count > 0)
        {
            // The server keeps the file and asks again.
            throw new RepositoryException(RepositoryError.Unavailable, $"{path}: {result.Incidents[0].Reason}");
        }
    }

    /// <summary>
    /// Waits until the archive has the log up to where a base backup becomes consistent; without it the backup cannot be restored.
    /// Fails when it does not come.
    /// </summary>
    public async Task WaitUntilRestorableAsync(string server, Snapshot baseBackup, CancellationToken cancellation)
    {
        if (PostgresTags.EndOf(baseBackup) is not { } end)
        {
            return;
        }
        var seen = new HashSet<ObjectId>();
        var since = repository.Time.GetTimestamp();
        while (true)
        {
            // Each look reads only what came since the last one: an archive may have many thousands of files.
            var found = await repository.LoadNewSnapshotsAsync(seen, cancellation).ConfigureAwait(false);
            if (found.Any(s => PostgresTags.ServerOf(s) == server && PostgresTags.SegmentOf(s) is { } file && WalFile.IsSegment(file) && string.CompareOrdinal(file[8..], end) >= 0))
            {
                return;
            }
            if (repository.Time.GetElapsedTime(since) > LongestArchiving)
            {
                throw new RepositoryException(RepositoryError.Unavailable,
                    $"the log segment {end} was not archived within {LongestArchiving.TotalMinutes:0} minutes, and without it the base backup cannot be restored: does the primary archive (archive_mode, archive_command, archive_timeout)?");
            }
            await Task.Delay(LookAgain, repository.Time, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Restores all files from a segment on (and every timeline history) into a directory; how many.</summary>
    /// <remarks>Two different contents under one name mean that two servers archive under one name: refused, for which is right cannot be known.</remarks>
    public async Task<int> FetchAsync(
        string server, string firstSegment, IEnumerable<Snapshot> snapshots, string directory, BackupProgress progress, CancellationToken cancellation)
    {
        var first = WalFile.Position(firstSegment);
        var wanted = snapshots.Where(s => PostgresTags.ServerOf(s) == server && PostgresTags.SegmentOf(s) is { } file
                && WalFile.IsArchivable(file) && (file.Length < 24 || WalFile.Position(file[..24]) >= first))
            .GroupBy(s => PostgresTags.SegmentOf(s)!).ToList();
        var options = new ParallelOptions { MaxDegreeOfParallelism = Parallel, CancellationToken = cancellation };
        await System.Threading.Tasks.Parallel.ForEachAsync(wanted, options, async (same, stop) =>
        {
            var contents = new HashSet<ObjectId>();
            foreach (var snapshot in same)
            {
                var file = await FileContent.FindAsync(repository, snapshot, snapshot.Paths[0], stop).ConfigureAwait(false);
                if (!contents.Add(file.Identity))
                {
                    continue;
                }
                if (contents.Count > 1)
                {
                    throw new RepositoryException(RepositoryError.Damaged,
                        $"{same.Key} was archived twice with different contents: do two servers archive as '{server}'?");
                }
                await using var output = File.Create(Path.Combine(directory, same.Key));
                await file.CopyToAsync(output, stop).ConfigureAwait(false);
                progress.AddBytes(output.Length);
                progress.AddFile();
            }
        }).ConfigureAwait(false);
        return wanted.Count;
    }
}

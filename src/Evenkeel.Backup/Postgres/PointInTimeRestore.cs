using System.Globalization;
using System.Text;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Files;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Postgres;

/// <summary>Where recovery stops; all null for the end of the archived log. At most one is given.</summary>
/// <param name="Time">The last transaction that ended before this.</param>
/// <param name="Lsn">A place in the log, such as <c>0/3000148</c>.</param>
/// <param name="Name">A point made with <c>pg_create_restore_point</c>.</param>
public sealed record RecoveryTarget(DateTimeOffset? Time = null, string? Lsn = null, string? Name = null);

/// <summary>A prepared restore: start a server on <paramref name="DataDirectory"/> and it recovers.</summary>
/// <param name="Base">The base backup.</param>
/// <param name="DataDirectory">The server's directory.</param>
/// <param name="WalFiles">Files of the log that lie ready beside it.</param>
/// <param name="Problems">What could not be restored; with any, the server must not be started.</param>
/// <param name="Tablespaces">Where those that lay outside of the server's directory lie now, by where they lay.</param>
public sealed record PreparedRecovery(
    Snapshot Base, string DataDirectory, int WalFiles, IReadOnlyList<BackupIncident> Problems, IReadOnlyDictionary<string, string> Tablespaces);

/// <summary>
/// Restores a server's directory with everything that recovery needs beside it: a base backup from before the target, and the log
/// from there on. The server itself recovers when it is started; it needs neither this program nor the repository for that.
/// </summary>
/// <remarks>The restored server does not archive: two servers that archive under one name would spoil each other's log.</remarks>
public sealed class PointInTimeRestore(ResticRepository repository)
{
    private const string ClusterSettings = "evenkeel.conf";
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Prepares a directory that does not exist yet; <paramref name="from"/> names a base backup, null for the newest one before the target.</summary>
    /// <param name="newPlaces">Of tablespaces, by where they lay; the others go to <c>DIRECTORY.tablespaces/OID</c>. Nothing may be there yet.</param>
    public async Task<PreparedRecovery> PrepareAsync(
        string server, RecoveryTarget target, Snapshot? from, string directory, IReadOnlyDictionary<string, string> newPlaces, BackupProgress progress, CancellationToken cancellation)
    {
        foreach (var place in newPlaces.Values.Append($"{directory}.tablespaces").Append(directory))
        {
            if (Path.Exists(place))
            {
                throw new RepositoryException(RepositoryError.Exists, $"{place} exists already; a server's directory is restored to a new place");
            }
        }
        var snapshots = await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false);
        var chosen = from ?? Choose(server, target, snapshots);
        var first = PostgresTags.StartOf(chosen)
            ?? throw new RepositoryException(RepositoryError.NotFound, $"snapshot {chosen.Id.Brief} is no base backup of PostgreSQL");
        var data = PostgresTags.DataOf(chosen);
        if (newPlaces.Keys.FirstOrDefault(place => place == data || !chosen.Paths.Contains(place)) is { } stranger)
        {
            var there = chosen.Paths.Where(path => path != data).ToList();
            throw new RepositoryException(RepositoryError.NotFound,
                $"base backup {chosen.Id.Brief} has no tablespace at {stranger}{(there.Count == 0 ? "" : $", but at {string.Join(", ", there)}")}");
        }
        List<BackupIncident> problems = [.. await RestoreAsync(chosen, data, directory, progress, cancellation).ConfigureAwait(false)];
        var tablespaces = await RestoreTablespacesAsync(chosen, data, directory, newPlaces, problems, progress, cancellation).ConfigureAwait(false);

        // Of a standby: with it the server would wait for a primary for ever, instead of ending its recovery.
        File.Delete(Path.Combine(directory, "standby.signal"));
        await StandAloneAsync(directory, cancellation).ConfigureAwait(false);
        await ListAnewAsync(directory, cancellation).ConfigureAwait(false);
        var log = $"{directory}.wal";
        Directory.CreateDirectory(log, Private);
        var count = await new WalArchive(repository).FetchAsync(server, first, snapshots, log, progress, cancellation).ConfigureAwait(false);
        await File.AppendAllTextAsync(Path.Combine(directory, "postgresql.auto.conf"), Settings(target, log), cancellation).ConfigureAwait(false);
        await File.WriteAllBytesAsync(Path.Combine(directory, "recovery.signal"), [], cancellation).ConfigureAwait(false);
        var wal = Path.Combine(directory, "pg_wal");
        if (new FileInfo(wal).LinkTarget is not null)
        {
            // The original's log lay on another disk, whose path means nothing here.
            File.Delete(wal);
            Directory.CreateDirectory(wal, Private);
        }
        GiveToOwner(directory, [wal, log, .. Directory.GetFiles(log), Path.Combine(directory, "recovery.signal")]);
        return new PreparedRecovery(chosen, directory, count, problems, tablespaces);
    }

    private async Task<IReadOnlyList<BackupIncident>> RestoreAsync(Snapshot snapshot, string path, string to, BackupProgress progress, CancellationToken cancellation)
    {
        // Beside its place, and so on the same disk.
        var staging = $"{to}.restoring";
        Directory.CreateDirectory(staging, Private);
        var request = new RestoreRequest { Target = staging, Path = path };
        var restored = await new RestoreEngine(repository).RunAsync(snapshot, request, progress, cancellation).ConfigureAwait(false);
        Directory.Move(staging + path, to);
        Directory.Delete(staging, recursive: true);
        return restored.Problems;
    }

    /// <summary>No link of the copy may lead into the original's tablespaces: a server that writes there spoils them.</summary>
    private async Task<IReadOnlyDictionary<string, string>> RestoreTablespacesAsync(
        Snapshot snapshot, string data, string directory, IReadOnlyDictionary<string, string> newPlaces, List<BackupIncident> problems, BackupProgress progress, CancellationToken cancellation)
    {
        var placed = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var map = Path.Combine(directory, TablespaceMap.FileName);
        if (!File.Exists(map))
        {
            return placed;
        }
        var ours = $"{directory}.tablespaces";
        var moved = new List<(string Oid, string Location)>();
        var links = new List<string>();
        foreach (var (oid, location) in TablespaceMap.Parse(await File.ReadAllTextAsync(map, cancellation).ConfigureAwait(false)))
        {
            var inside = location.StartsWith(data + "/", StringComparison.Ordinal);
            var to = inside ? directory + location[data.Length..] : newPlaces.GetValueOrDefault(location) ?? Path.Combine(ours, oid);
            if (!inside)
            {
                _ = newPlaces.ContainsKey(location) ? Directory.CreateDirectory(Path.GetDirectoryName(to)!) : Directory.CreateDirectory(ours, Private);
                problems.AddRange(await RestoreAsync(snapshot, location, to, progress, cancellation).ConfigureAwait(false));
                placed[location] = to;
            }
            moved.Add((oid, to));
            var link = Path.Combine(directory, "pg_tblspc", oid);
            File.Delete(link);
            File.CreateSymbolicLink(link, to);
            links.Add(link);
        }
        await File.WriteAllTextAsync(map, TablespaceMap.Write(moved), cancellation).ConfigureAwait(false);
        GiveToOwner(directory, Directory.Exists(ours) ? [.. links, ours] : links);
        return placed;
    }

    /// <summary>
    /// A directory of a cluster's server names files of the node that it was on: who may connect, certificates. The copy goes by its
    /// own pg_hba.conf; the cluster writes that file anew when it starts a server on it.
    /// </summary>
    private static async Task StandAloneAsync(string directory, CancellationToken cancellation)
    {
        var settings = Path.Combine(directory, ClusterSettings);
        if (File.Exists(settings))
        {
            string[] gone = ["hba_file ", "ident_file ", "ssl ", "ssl_"];
            var lines = await File.ReadAllLinesAsync(settings, cancellation).ConfigureAwait(false);
            await File.WriteAllLinesAsync(settings, lines.Where(line => !gone.Any(start => line.StartsWith(start, StringComparison.Ordinal))), cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>In the list of the backup's files, the sizes of those that this restore wrote anew; what it adds beyond them, PostgreSQL's programs do not look at.</summary>
    private static async Task ListAnewAsync(string directory, CancellationToken cancellation)
    {
        var path = Path.Combine(directory, BackupManifest.FileName);
        if (!File.Exists(path))
        {
            return;
        }
        BackupManifest? manifest;
        try
        {
            manifest = BackupManifest.Parse(await File.ReadAllBytesAsync(path, cancellation).ConfigureAwait(false));
        }
        catch (RepositoryException)
        {
            // Nothing depends on it: older versions backed up what the original's directory had, and pg_verifybackup says what is wrong with it.
            return;
        }
        if (manifest is null)
        {
            return;
        }
        var files = manifest.Files.Select(file => Encoding.UTF8.GetString(file.Path) is var name && (name is TablespaceMap.FileName or ClusterSettings)
            && new FileInfo(Path.Combine(directory, name)) is { Exists: true } now ? file with { Size = (ulong)now.Length } : file);
        await File.WriteAllBytesAsync(path, (manifest with { Files = [.. files] }).Write(), cancellation).ConfigureAwait(false);
    }

    private static Snapshot Choose(string server, RecoveryTarget target, IEnumerable<Snapshot> snapshots)
    {
        var bases = snapshots.Where(s => PostgresTags.ServerOf(s) == server && PostgresTags.StartOf(s) is not null).ToList();
        var fitting = bases.Where(s => target switch
        {
            { Time: { } time } => Ended(s) <= time,
            { Lsn: { } lsn } => PostgresTags.StopOf(s) is { } stop && LogPosition.Parse(stop) <= LogPosition.Parse(lsn),
            _ => true,
        });
        return fitting.MaxBy(s => s.When) ?? throw new RepositoryException(RepositoryError.NotFound, bases.Count == 0
            ? $"there is no base backup of '{server}'" : $"no base backup of '{server}' is older than that; the oldest ended {Ended(bases.MinBy(s => s.When)!):yyyy-MM-dd HH:mm:ssK}");
    }

    private static DateTimeOffset Ended(Snapshot s) =>
        s.Summary is { } summary && Timestamp.TryParse(summary.End, out var end) ? end.ToDateTimeOffset() : s.When;

    private static string Settings(RecoveryTarget target, string log)
    {
        var text = new StringBuilder("\n# Written by evenkeel's restore. Archiving is off, so that this copy does not mix into the original's log:\n");
        text.Append("# remove the line once this server takes the original's place.\n");
        text.Append("archive_mode = 'off'\n");
        Line("restore_command", $"cp \"{log.Replace("%", "%%", StringComparison.Ordinal)}/%f\" \"%p\"");
        Line("recovery_target_timeline", "latest");
        Line("recovery_target_action", "promote");
        if (target.Time is { } time)
        {
            Line("recovery_target_time", time.ToString("yyyy-MM-dd HH:mm:ss.ffffffzzz", CultureInfo.InvariantCulture));
        }
        else if (target.Lsn is { } lsn)
        {
            Line("recovery_target_lsn", lsn);
        }
        else if (target.Name is { } name)
        {
            Line("recovery_target_name", name);
        }
        return text.ToString();

        void Line(string key, string value) => text.Append(CultureInfo.InvariantCulture, $"{key} = '{value.Replace("'", "''", StringComparison.Ordinal)}'\n");
    }

    // Restored as root, the server's user must be able to read what was added.
    private static void GiveToOwner(string directory, IEnumerable<string> added)
    {
        if (Native.UserId != 0)
        {
            return;
        }
        var owner = FileSystem.Status(Encoding.UTF8.GetBytes(directory));
        foreach (var path in added)
        {
            _ = Native.lchown(FileSystem.Terminated(Encoding.UTF8.GetBytes(path)), owner.UserId, owner.GroupId);
        }
    }
}

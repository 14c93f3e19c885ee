using System.Globalization;
using System.Text;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Postgres;

/// <summary>A finished base backup.</summary>
/// <param name="Backup">As of any other backup.</param>
/// <param name="WhyFull">Why everything was read although less was asked for; null otherwise.</param>
public sealed record BaseBackupResult(BackupResult Backup, string? WhyFull);

/// <summary>
/// A base backup of a running PostgreSQL server (15 or newer), primary or standby: its files while they change, between
/// <c>pg_backup_start</c> and <c>pg_backup_stop</c>; the log that makes them consistent is archived beside it.
/// </summary>
/// <remarks>
/// Source: PostgreSQL's documentation, "Making a Base Backup Using the Low Level API". Files are cut into 64 KiB, so that an
/// unchanged page is stored once over all base backups. A page may change without the file's time telling: all files are read each
/// time, unless the server (17 or newer, <c>summarize_wal</c>) tells which blocks its log changed since an earlier base backup. Then the others
/// are taken over from that; the snapshot is complete all the same.
/// </remarks>
public sealed class BaseBackup(ResticRepository repository)
{
    private const int FirstWithSummaries = 170000;

    private static readonly string[] NotBackedUp =
        ["postmaster.pid", "postmaster.opts", "standby.signal", "recovery.signal", BackupManifest.FileName, "pg_wal/*", "pg_replslot/*", "pg_dynshmem/*", "pg_notify/*", "pg_serial/*", "pg_snapshots/*", "pg_stat_tmp/*", "pg_subtrans/*"];

    /// <summary>Backs a server up; it must archive its log (<c>archive_mode</c>), and this process must be allowed to read its files.</summary>
    /// <param name="server">The name under which base backups and log belong together.</param>
    /// <param name="connection">For psql; null for its defaults.</param>
    /// <param name="type">Full and independent ones read everything. Incremental and differential ones do too where they are not possible.</param>
    /// <param name="furtherTags">Of the snapshot.</param>
    public async Task<BaseBackupResult> RunAsync(
        string server, string? connection, BackupType type, BackupProgress progress, CancellationToken cancellation, IReadOnlyList<string>? furtherTags = null)
    {
        var session = new PsqlSession(connection);
        await using var _ = session.ConfigureAwait(false);
        var directory = await session.AskAsync("SHOW data_directory", cancellation).ConfigureAwait(false);
        await RefuseWithoutArchiveAsync(session, cancellation).ConfigureAwait(false);
        var segmentSize = ulong.Parse(await session.AskAsync("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'", cancellation).ConfigureAwait(false), CultureInfo.InvariantCulture);
        var version = int.Parse(await session.AskAsync("SHOW server_version_num", cancellation).ConfigureAwait(false), CultureInfo.InvariantCulture);
        var identifier = (ulong)long.Parse(await session.AskAsync("SELECT system_identifier FROM pg_control_system()", cancellation).ConfigureAwait(false), CultureInfo.InvariantCulture);
        var checksums = await session.AskAsync("SHOW data_checksums", cancellation).ConfigureAwait(false);
        var (earlier, whyFull) = BackupTags.IsWhole(type) ? (null, null) : await EarlierAsync(type, session, version, server, directory, cancellation).ConfigureAwait(false);

        var name = $"evenkeel {repository.Time.GetUtcNow():yyyy-MM-dd HH:mm:ss}";
        var start = LogPosition.Parse(await session.AskAsync($"SELECT pg_backup_start('{name}', true)", cancellation).ConfigureAwait(false));
        // The checkpoint that the backup begins with is the control file's.
        var timeline = uint.Parse(await session.AskAsync("SELECT timeline_id FROM pg_control_checkpoint()", cancellation).ConfigureAwait(false), CultureInfo.InvariantCulture);
        // One that is made later is in the log.
        var tablespaces = await TablespacesAsync(session, cancellation).ConfigureAwait(false);
        KnownChanges? changes = null;
        if (earlier is not null)
        {
            (changes, whyFull) = earlier.WhyNot(identifier, checksums, timeline, start) is { } why ? (null, why)
                : await ChangesAsync(earlier, connection, timeline, start, directory, tablespaces, cancellation).ConfigureAwait(false);
        }
        List<string> tags = [PostgresTags.OfServer(server), PostgresTags.OfChecksums(checksums), .. furtherTags ?? []];
        if (tablespaces.Count > 0)
        {
            tags.Add(PostgresTags.OfData(directory));
        }
        var request = new BackupRequest
        {
            Paths = [directory, .. tablespaces.Select(t => t.Location)],
            Type = changes is null && !BackupTags.IsWhole(type) ? BackupType.Full : type,
            Changes = changes,
            // One thing, whichever machine it was read on.
            Host = server,
            Tags = tags,
            Excludes = new PathPatterns([.. NotBackedUp.Select(p => $"{directory}/{p}"), "pgsql_tmp*", "pg_internal.init*"]),
            FixedBlocks = new PathPatterns([$"{directory}/base/**", $"{directory}/global/**", .. tablespaces.Select(t => $"{t.Location}/**")]),
            Finish = async root =>
            {
                // The label comes as lines of one column; a field separator that cannot occur keeps the columns apart.
                var stopped = await session.AskAsync(
                    "SELECT labelfile || chr(1) || lsn || chr(1) || coalesce(spcmapfile, '') FROM pg_backup_stop(true)", cancellation).ConfigureAwait(false);
                var parts = stopped.Split('\u0001');
                var label = BackupLabel.Parse(parts[0]);
                if (changes is not null && (label.Start, label.Timeline) != (start, timeline))
                {
                    throw new RepositoryException(RepositoryError.Unavailable,
                        $"the base backup began at {LogPosition.Write(label.Start)} on timeline {label.Timeline}, and what changed was asked for up to {LogPosition.Write(start)} on {timeline}: a standby took over meanwhile; make it again");
                }
                var stop = LogPosition.Parse(parts[1]);
                tags.Add(PostgresTags.OfStart(label.Segment));
                tags.Add(PostgresTags.OfStop(parts[1]));
                tags.Add(PostgresTags.OfEnd(WalFile.EndOf(stop, segmentSize)));
                List<GraftedFile> files = [new($"{directory}/{BackupLabel.FileName}", Encoding.UTF8.GetBytes(parts[0]))];
                if (parts[2].Length > 0)
                {
                    files.Add(new GraftedFile($"{directory}/{TablespaceMap.FileName}", Encoding.UTF8.GetBytes(parts[2])));
                }
                var listed = (await new BackedUpFiles(repository, root).ListAsync(directory, tablespaces, cancellation).ConfigureAwait(false))
                    .Concat(files.Select(f => new ManifestFile(Encoding.UTF8.GetBytes(Path.GetFileName(f.Path)), (ulong)f.Content.Length, repository.Time.GetUtcNow())));
                var manifest = new BackupManifest(version >= FirstWithSummaries ? identifier : null, [.. listed], label.Timeline, label.Start, stop);
                return [.. files, new GraftedFile($"{directory}/{BackupManifest.FileName}", manifest.Write())];
            },
        };
        var result = await new BackupEngine(repository).RunAsync(request, progress, cancellation).ConfigureAwait(false);
        return new BaseBackupResult(result with { RequestedType = type }, whyFull);
    }

    /// <summary>The base backup to build on; or why there is none.</summary>
    private async Task<(EarlierBase? Earlier, string? WhyNot)> EarlierAsync(
        BackupType type, PsqlSession session, int version, string server, string directory, CancellationToken cancellation)
    {
        if (version < FirstWithSummaries)
        {
            return (null, $"PostgreSQL {version / 10000} does not tell which blocks changed; 17 and newer do");
        }
        if (await session.AskAsync("SHOW summarize_wal", cancellation).ConfigureAwait(false) != "on")
        {
            return (null, "summarize_wal is off, without which the server does not know which blocks changed: set it to on, and reload");
        }
        var snapshots = await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false);
        if (EarlierBase.Choose(type, snapshots, server, directory, repository.Time.GetUtcNow()) is not { } chosen)
        {
            return (null, $"there is no {(type == BackupType.Differential ? "full " : "")}base backup of '{server}' at {directory} to build on");
        }
        try
        {
            return (await EarlierBase.ReadAsync(repository, chosen, cancellation).ConfigureAwait(false), null);
        }
        catch (Exception e) when (e is FormatException or RepositoryException { Error: RepositoryError.Damaged or RepositoryError.NotFound or RepositoryError.UnknownFormat })
        {
            return (null, $"base backup {chosen.Id.Brief} cannot be built on: {e.Message}");
        }
    }

    /// <summary>What changed since an earlier base backup; or why that cannot be known.</summary>
    private async Task<(KnownChanges? Changes, string? WhyNot)> ChangesAsync(EarlierBase earlier, string? connection, uint timeline, ulong start,
        string directory, IReadOnlyList<(uint Oid, string Location)> tablespaces, CancellationToken cancellation)
    {
        try
        {
            // A session of its own: an error ends it, and the other one holds the backup.
            var session = new PsqlSession(connection);
            await using var _ = session.ConfigureAwait(false);
            var (changes, whyNot) = await new WalSummaries(session, repository.Time).ReadAsync(timeline, earlier.Label.Start, start, cancellation).ConfigureAwait(false);
            return changes is null ? (null, whyNot) : (new KnownChanges(earlier.Snapshot, path => Of(changes, path)), null);
        }
        catch (Exception e) when (e is RepositoryException or IOException or FormatException)
        {
            return (null, $"the server's summaries of its log could not be read: {e.Message}");
        }

        IChangedBytes? Of(ChangedBlocks changes, string path)
        {
            // A tablespace may lie within the server's directory.
            foreach (var (oid, location) in tablespaces)
            {
                if (path.StartsWith(location + "/", StringComparison.Ordinal))
                {
                    return RelationFile.Parse(path[(location.Length + 1)..]) is { } inTablespace ? changes.Of(oid, inTablespace) : null;
                }
            }
            var relative = path[(directory.Length + 1)..];
            return RelationFile.Parse(relative) is not { } file ? null
                : changes.Of(relative.StartsWith("global/", StringComparison.Ordinal) ? RelationFile.GlobalTablespace : RelationFile.DefaultTablespace, file);
        }
    }

    private static async Task RefuseWithoutArchiveAsync(PsqlSession session, CancellationToken cancellation)
    {
        if (await session.AskAsync("SHOW archive_mode", cancellation).ConfigureAwait(false) == "off")
        {
            throw new RepositoryException(RepositoryError.Refused,
                "the server does not archive its log (archive_mode is off), and without it a base backup is not consistent");
        }
    }

    /// <summary>Where they lie; those in the server's own directory (<c>allow_in_place_tablespaces</c>) are backed up with it.</summary>
    private static async Task<IReadOnlyList<(uint Oid, string Location)>> TablespacesAsync(PsqlSession session, CancellationToken cancellation)
    {
        var answer = await session.AskAsync(
            "SELECT oid || ' ' || pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY oid", cancellation).ConfigureAwait(false);
        var tablespaces = answer.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ', 2))
            .Select(parts => (Oid: uint.Parse(parts[0], CultureInfo.InvariantCulture), Location: parts[1])).ToList();
        return tablespaces.Find(tablespace => new DirectoryInfo(tablespace.Location).LinkTarget is not null) is { Location: { } link }
            ? throw new RepositoryException(RepositoryError.Refused, $"the tablespace at {link} is a symbolic link: only the link would be in the backup; make the tablespace at the place that it points to")
            : tablespaces;
    }
}

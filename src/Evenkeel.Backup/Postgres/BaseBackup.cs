using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Postgres;

/// <summary>
/// A base backup of a running PostgreSQL server (15 or newer), primary or standby: its files while they change, between
/// <c>pg_backup_start</c> and <c>pg_backup_stop</c>; the log that makes them consistent is archived beside it.
/// </summary>
/// <remarks>Source: PostgreSQL's documentation, "Making a Base Backup Using the Low Level API". Files are cut into 64 KiB, so that an
/// unchanged page is stored once over all base backups. All files are read each time: a page may change without the file's time telling.</remarks>
public sealed partial class BaseBackup(ResticRepository repository)
{
    private static readonly string[] NotBackedUp =
        ["postmaster.pid", "postmaster.opts", "standby.signal", "recovery.signal", "pg_wal/*", "pg_replslot/*", "pg_dynshmem/*", "pg_notify/*", "pg_serial/*", "pg_snapshots/*", "pg_stat_tmp/*", "pg_subtrans/*"];

    /// <summary>Backs a server up; it must archive its log (<c>archive_mode</c>), and this process must be allowed to read its files.</summary>
    /// <param name="server">The name under which base backups and log belong together.</param>
    /// <param name="connection">For psql; null for its defaults.</param>
    /// <param name="furtherTags">Of the snapshot.</param>
    public async Task<BackupResult> RunAsync(string server, string? connection, BackupProgress progress, CancellationToken cancellation, IReadOnlyList<string>? furtherTags = null)
    {
        var session = new PsqlSession(connection);
        await using var _ = session.ConfigureAwait(false);
        var directory = await session.AskAsync("SHOW data_directory", cancellation).ConfigureAwait(false);
        await RefuseWithoutArchiveAsync(session, cancellation).ConfigureAwait(false);
        var segmentSize = ulong.Parse(await session.AskAsync("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'", cancellation).ConfigureAwait(false), CultureInfo.InvariantCulture);
        var name = $"evenkeel {repository.Time.GetUtcNow():yyyy-MM-dd HH:mm:ss}";
        var start = await session.AskAsync(
            $"SELECT pg_backup_start('{name}', true)", cancellation).ConfigureAwait(false);
        // One that is made later is in the log.
        var tablespaces = await TablespacesAsync(session, cancellation).ConfigureAwait(false);
        List<string> tags = [PostgresTags.OfServer(server), .. furtherTags ?? []];
        if (tablespaces.Count > 0)
        {
            tags.Add(PostgresTags.OfData(directory));
        }
        var request = new BackupRequest
        {
            Paths = [directory, .. tablespaces],
            Type = BackupType.Full,
            // One thing, whichever machine it was read on.
            Host = server,
            Tags = tags,
            Excludes = new PathPatterns([.. NotBackedUp.Select(p => $"{directory}/{p}"), "pgsql_tmp*", "pg_internal.init*"]),
            FixedBlocks = new PathPatterns([$"{directory}/base/**", $"{directory}/global/**", .. tablespaces.Select(location => $"{location}/**")]),
            Finish = async () =>
            {
                // The label comes as lines of one column; a field separator that cannot occur keeps the columns apart.
                var stopped = await session.AskAsync(
                    "SELECT labelfile || chr(1) || lsn || chr(1) || coalesce(spcmapfile, '') FROM pg_backup_stop(true)", cancellation).ConfigureAwait(false);
                var parts = stopped.Split('\u0001');
                var segment = StartSegment().Match(parts[0]);
                if (!segment.Success)
                {
                    throw new RepositoryException(RepositoryError.UnknownFormat, $"PostgreSQL's backup label from {start} names no first segment");
                }
                tags.Add(PostgresTags.OfStart(segment.Groups[1].Value));
                tags.Add(PostgresTags.OfStop(parts[1]));
                tags.Add(PostgresTags.OfEnd(WalFile.EndOf(LogPosition.Parse(parts[1]), segmentSize)));
                var label = new GraftedFile($"{directory}/backup_label", Encoding.UTF8.GetBytes(parts[0]));
                return parts[2].Length == 0 ? [label] : [label, new GraftedFile($"{directory}/{TablespaceMap.FileName}", Encoding.UTF8.GetBytes(parts[2]))];
            },
        };
        return await new BackupEngine(repository).RunAsync(request, progress, cancellation).ConfigureAwait(false);
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
    private static async Task<IReadOnlyList<string>> TablespacesAsync(PsqlSession session, CancellationToken cancellation)
    {
        var answer = await session.AskAsync(
            "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY oid", cancellation).ConfigureAwait(false);
        var locations = answer.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return Array.Find(locations, location => new DirectoryInfo(location).LinkTarget is not null) is { } link
            ? throw new RepositoryException(RepositoryError.Refused, $"the tablespace at {link} is a symbolic link: only the link would be in the backup; make the tablespace at the place that it points to")
            : locations;
    }

    [GeneratedRegex(@"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)", RegexOptions.Multiline)]
    private static partial Regex StartSegment();
}

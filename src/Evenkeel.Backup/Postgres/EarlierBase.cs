using System.Buffers.Binary;
using System.Text;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Postgres;

/// <summary>A base backup that another one may build on.</summary>
/// <param name="Snapshot">As stored.</param>
/// <param name="SystemIdentifier">Whose it is: every server has its own from initdb on, which its standbys share.</param>
/// <param name="Label">Where it begins.</param>
/// <param name="Stop">Where in the log it becomes consistent: its blocks may be as new as this.</param>
internal sealed record EarlierBase(Snapshot Snapshot, ulong SystemIdentifier, BackupLabel Label, ulong Stop)
{
    /// <summary>The snapshot to build on: the newest base backup (for a differential one the newest that read everything) of the same server and directory.</summary>
    public static Snapshot? Choose(BackupType type, IEnumerable<Snapshot> snapshots, string server, string directory, DateTimeOffset now) => snapshots
        .Where(s => PostgresTags.ServerOf(s) == server && PostgresTags.StartOf(s) is not null && PostgresTags.StopOf(s) is not null)
        .Where(s => s.When <= now && PostgresTags.DataOf(s) == directory)
        .Where(s => type == BackupType.Incremental || BackupTags.IsWhole(BackupTags.TypeOf(s)))
        .MaxBy(s => s.When);

    /// <summary>Reads what the base backup itself says; fails where it is damaged.</summary>
    public static async Task<EarlierBase> ReadAsync(ResticRepository repository, Snapshot snapshot, CancellationToken cancellation)
    {
        var directory = PostgresTags.DataOf(snapshot);
        var label = BackupLabel.Parse(Encoding.UTF8.GetString(await FileAsync(BackupLabel.FileName).ConfigureAwait(false)));
        // The control file begins with the identifier, in the machine's order of bytes (pg_control.h).
        var control = await FileAsync("global/pg_control").ConfigureAwait(false);
        return control.Length < sizeof(ulong) ? throw new RepositoryException(RepositoryError.Damaged, $"base backup {snapshot.Id.Brief} has no whole pg_control")
            : new EarlierBase(snapshot, BinaryPrimitives.ReadUInt64LittleEndian(control), label, LogPosition.Parse(PostgresTags.StopOf(snapshot)!));

        async Task<byte[]> FileAsync(string name)
        {
            using var content = new MemoryStream();
            var file = await FileContent.FindAsync(repository, snapshot, $"{directory}/{name}", cancellation).ConfigureAwait(false);
            await file.CopyToAsync(content, cancellation).ConfigureAwait(false);
            return content.ToArray();
        }
    }

    /// <summary>Why a base backup that begins at a place in the log cannot build on this one; null when it can.</summary>
    /// <param name="checksums">Whether pages have some now: they are given them and lose them while the server stands still, and its log does not tell.</param>
    public string? WhyNot(ulong systemIdentifier, string checksums, uint timeline, ulong start) =>
        SystemIdentifier != systemIdentifier ? $"base backup {Snapshot.Id.Brief} is of another server: its system identifier is {SystemIdentifier}, this one's {systemIdentifier}"
        : PostgresTags.ChecksumsOf(Snapshot) != checksums ? $"base backup {Snapshot.Id.Brief} is of a time when data_checksums was {PostgresTags.ChecksumsOf(Snapshot) ?? "not noted"}, and now it is {checksums}"
        // What is common to both timelines could be taken over; promotions are rare, and a whole base backup after one is no loss.
        : Label.Timeline != timeline ? $"base backup {Snapshot.Id.Brief} was made on timeline {Label.Timeline}, and the server is on {timeline} since a standby took over"
        : Stop > start ? $"base backup {Snapshot.Id.Brief} goes up to {LogPosition.Write(Stop)} in the log, and this one begins before that, at {LogPosition.Write(start)}, as on a standby without a checkpoint since"
        : null;
}

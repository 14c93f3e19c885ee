using System.Globalization;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Policy;

/// <summary>A snapshot that looks as if something had rewritten the source.</summary>
/// <param name="Snapshot">Which.</param>
/// <param name="Reasons">What stands out, in words.</param>
public sealed record Anomaly(Snapshot Snapshot, IReadOnlyList<string> Reasons);

/// <summary>
/// Ransomware rewrites most files with bytes that do not compress, or deletes them. Both show in a backup's own numbers against the
/// backups before it: the share of files that changed, how far new data shrank, and how many files are left.
/// </summary>
/// <remarks>
/// Only what this program or restic 0.17 wrote carries the numbers. An alarm stands until the snapshot gets the tag
/// <see cref="AcceptedTag"/>; until then everything older is held, for it may be the last good state.
/// </remarks>
public static class AnomalyAlarm
{
    /// <summary>Says that a person looked at the snapshot and found it in order.</summary>
    public const string AcceptedTag = "anomaly-accepted";

    /// <summary>Fewer files or bytes than this say nothing.</summary>
    private const int FewFiles = 20;
    private const long FewBytes = 1 << 20;
    private const int Compared = 10;
    private const int History = 2;

    /// <summary>The anomalies of a series (oldest first) that nobody accepted.</summary>
    public static IReadOnlyList<Anomaly> Find(IReadOnlyList<Snapshot> series)
    {
        var found = new List<Anomaly>();
        var usual = new List<Snapshot>();
        foreach (var snapshot in series)
        {
            if (snapshot.Summary is null)
            {
                continue;
            }
            var reasons = usual.Count >= History ? Compare(snapshot, usual) : [];
            if (reasons.Count == 0 || snapshot.Tags?.Contains(AcceptedTag) == true)
            {
                usual.Add(snapshot);
                if (usual.Count > Compared)
                {
                    usual.RemoveAt(0);
                }
                continue;
            }
            found.Add(new Anomaly(snapshot, reasons));
        }
        return found;
    }

    /// <summary>Holds everything that is not newer than the first anomaly, and the anomalies.</summary>
    public static IReadOnlyList<RetentionDecision> Hold(IReadOnlyList<RetentionDecision> decisions, IReadOnlyList<Anomaly> anomalies)
    {
        if (anomalies.Count == 0)
        {
            return decisions;
        }
        var first = anomalies.MinBy(a => a.Snapshot.When)!.Snapshot;
        var suspicious = anomalies.Select(a => a.Snapshot.Id).ToHashSet();
        return [.. decisions.Select(d => d.Snapshot.When <= first.When || suspicious.Contains(d.Snapshot.Id)
            ? d with { Reasons = [.. d.Reasons, $"held: snapshot {first.Id.Brief} looks as if something had rewritten the files"] } : d)];
    }

    private static List<string> Compare(Snapshot snapshot, List<Snapshot> usual)
    {
        var reasons = new List<string>();
        var now = snapshot.Summary!;
        if (Changed(snapshot) is { } changed && now.TotalFiles >= FewFiles)
        {
            var before = Median(usual.Select(Changed));
            if (before is not { } level ? changed >= 0.8 : changed >= 0.5 && changed >= 5 * level)
            {
                reasons.Add(string.Create(CultureInfo.InvariantCulture, $"{changed:P0} of the files changed, usually {before ?? 0:P0}"));
            }
        }
        if (Shrunk(now) is { } shrunk && shrunk > 0.95 && Median(usual.Select(u => Shrunk(u.Summary!))) is { } compressible && compressible < 0.8)
        {
            reasons.Add(string.Create(CultureInfo.InvariantCulture,
                $"new data does not compress ({shrunk:P0} of its size, usually {compressible:P0}), as if it were encrypted"));
        }
        if (Median(usual.Select(u => (double?)u.Summary!.TotalFiles)) is { } files && files >= FewFiles && now.TotalFiles < files / 2)
        {
            reasons.Add(string.Create(CultureInfo.InvariantCulture, $"{now.TotalFiles} files, usually {files:0}"));
        }
        return reasons;
    }

    // A full backup calls every file new, which says nothing about change. A database's own housekeeping rewrites all of its files.
    private static double? Changed(Snapshot snapshot) => snapshot is { Parent: not null, Summary: { TotalFiles: > 0 } s } && PostgresTags.StartOf(snapshot) is null
        ? (s.FilesChanged + s.FilesNew) / (double)Math.Max(1, s.FilesChanged + s.FilesNew + s.FilesUnmodified) : null;

    private static double? Shrunk(SnapshotSummary s) => s.DataAdded < FewBytes ? null : s.DataAddedPacked / (double)s.DataAdded;

    private static double? Median(IEnumerable<double?> values)
    {
        var sorted = values.OfType<double>().Order().ToList();
        return sorted.Count == 0 ? null : sorted[sorted.Count / 2];
    }
}

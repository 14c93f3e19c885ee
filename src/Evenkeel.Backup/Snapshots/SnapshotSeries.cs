namespace Evenkeel.Backup.Snapshots;

/// <summary>Snapshots of one machine and one set of paths belong together: each is a later state of the same thing.</summary>
public static class SnapshotSeries
{
    /// <summary>The series, each oldest first.</summary>
    public static IEnumerable<IReadOnlyList<Snapshot>> Split(IEnumerable<Snapshot> snapshots) => snapshots
        .GroupBy(s => (s.Hostname, Paths: string.Join('\n', s.Paths.Order(StringComparer.Ordinal))))
        .Select(g => g.OrderBy(s => s.When).ToList());
}

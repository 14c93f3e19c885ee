using System.CommandLine;
using Evenkeel.Backup;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary>Finds the snapshot that a user names: <c>latest</c>, or the first digits of its id.</summary>
internal static class SnapshotArgument
{
    public static Argument<string> Create(string name = "SNAPSHOT") => new(name) { Description = "'latest', or the first digits of a snapshot's id." };

    public static async Task<Snapshot> FindAsync(ResticRepository repository, string name, CancellationToken cancellation)
    {
        var snapshots = await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false);
        var found = name == "latest" ? [.. snapshots.TakeLast(1)] : snapshots.Where(s => s.Id.ToString().StartsWith(name, StringComparison.Ordinal)).ToList();
        return found.Count == 1 ? found[0] : throw new RepositoryException(RepositoryError.NotFound, found.Count == 0
            ? $"there is no snapshot '{name}'" : $"'{name}' begins the ids of {found.Count} snapshots; give more digits");
    }
}

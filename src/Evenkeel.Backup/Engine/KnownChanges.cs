using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>
/// For a source whose owner keeps account of every write, as a database does: which bytes of which files may differ from an earlier
/// snapshot. What does not is taken over from there; sizes and times of files decide nothing.
/// </summary>
/// <param name="Since">The earlier snapshot, of the same paths.</param>
/// <param name="Of">For a file's absolute path what may have changed in it; null where nobody knows, and the file is read as a whole.</param>
public sealed record KnownChanges(Snapshot Since, Func<string, IChangedBytes?> Of);

/// <summary>What may have changed in one file.</summary>
public interface IChangedBytes
{
    /// <summary>Whether any byte from <paramref name="from"/> up to, without, <paramref name="to"/> may differ. True is always a right answer.</summary>
    bool Any(long from, long to);
}

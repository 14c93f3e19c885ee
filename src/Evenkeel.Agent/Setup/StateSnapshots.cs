using System.Globalization;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Setup;

/// <param name="Bytes">The file's size.</param>
/// <param name="Problem">Why it cannot be used; null: it is whole.</param>
public sealed record StateSnapshot(string File, DateTimeOffset At, long Bytes, string? Problem);

/// <summary>A voting node's own snapshots of the coordination store: below its state directory, the newest <see cref="Kept"/>.</summary>
public static class StateSnapshots
{
    public const int Kept = 24;
    private const string Prefix = "etcd-";
    private const string Format = "yyyyMMdd'T'HHmmss'Z'";

    internal static string DirectoryOf(string stateDirectory) => Directory.CreateDirectory(Path.Combine(stateDirectory, "snapshots"),
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    internal static string NewFile(string stateDirectory, DateTimeOffset at) =>
        Path.Combine(DirectoryOf(stateDirectory), Prefix + at.UtcDateTime.ToString(Format, CultureInfo.InvariantCulture) + ".db");

    /// <summary>The newest first; each is read and its sum compared.</summary>
    /// <exception cref="IOException">The directory cannot be read.</exception>
    public static IReadOnlyList<StateSnapshot> List(string stateDirectory)
    {
        var directory = Path.Combine(stateDirectory, "snapshots");
        return !Directory.Exists(directory) ? [] :
        [
            .. new DirectoryInfo(directory).GetFiles("*.db").OrderByDescending(file => file.LastWriteTimeUtc)
                .Select(file => new StateSnapshot(file.FullName, new DateTimeOffset(file.LastWriteTimeUtc, TimeSpan.Zero), file.Length, EtcdSnapshot.WhyNot(file.FullName))),
        ];
    }

    /// <summary>When the newest of those that were taken by themselves was; null: there is none. Nothing is read of it.</summary>
    internal static DateTimeOffset? Newest(string stateDirectory)
    {
        var directory = new DirectoryInfo(Path.Combine(stateDirectory, "snapshots"));
        return directory.Exists && directory.GetFiles(Prefix + "*.db").MaxBy(file => file.Name, StringComparer.Ordinal) is { } newest ? newest.LastWriteTimeUtc : null;
    }

    /// <summary>Deletes the oldest of those that were taken by themselves; others (an operator's) stay.</summary>
    internal static void Prune(string stateDirectory)
    {
        foreach (var old in Directory.GetFiles(DirectoryOf(stateDirectory), Prefix + "*.db").OrderByDescending(Path.GetFileName, StringComparer.Ordinal).Skip(Kept))
        {
            File.Delete(old);
        }
    }
}

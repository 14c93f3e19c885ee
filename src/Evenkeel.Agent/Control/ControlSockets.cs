namespace Evenkeel.Agent.Control;

/// <summary>
/// Where control sockets are: <c>DIRECTORY/CLUSTER/NODE.sock</c>, in the first of /run/evenkeel (root), $XDG_RUNTIME_DIR/evenkeel
/// and ~/.evenkeel/run that may be written. The directories are for their owner alone: who may open the socket rules the cluster.
/// </summary>
public static class ControlSockets
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Every directory that may hold sockets, whether it exists or not, in the order of search.</summary>
    public static IReadOnlyList<string> Directories
    {
        get
        {
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            var runtime = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR");
            return [.. new[] { "/run/evenkeel", runtime is { Length: > 0 } ? Path.Combine(runtime, "evenkeel") : null, Path.Combine(home, ".evenkeel", "run") }.OfType<string>()];
        }
    }

    /// <summary>Where this user's agents listen: /run/evenkeel for root, else the first of the others.</summary>
    public static string Own => Environment.IsPrivilegedProcess ? Directories[0] : Directories[1];

    /// <summary>The socket for a node's agent, its directory made, a leftover of an earlier agent removed. At most 107 bytes (Linux).</summary>
    /// <exception cref="IOException">The directory cannot be made, or the path is too long.</exception>
    public static string Prepare(string directory, string cluster, string node)
    {
        var inner = Path.Combine(directory, cluster);
        Directory.CreateDirectory(inner, OwnerOnly);
        var path = Path.Combine(inner, node + ".sock");
        if (System.Text.Encoding.UTF8.GetByteCount(path) > 107)
            throw new PathTooLongException($"the control socket's path is longer than 107 bytes: {path}");
        File.Delete(path);
        return path;
    }

    /// <summary>Sockets on disk (alive or left over), as cluster and path.</summary>
    public static IReadOnlyList<(string Cluster, string Path)> Find(IEnumerable<string> directories) =>
        [.. directories.Where(Directory.Exists).SelectMany(Readable)
            .SelectMany(cluster => Readable(cluster, "*.sock").Select(path => (Path.GetFileName(cluster), path)))
            .OrderBy(found => found.path, StringComparer.Ordinal)];

    private static IEnumerable<string> Readable(string directory) => Guarded(() => Directory.GetDirectories(directory));
    private static IEnumerable<string> Readable(string directory, string pattern) => Guarded(() => Directory.GetFiles(directory, pattern));

    // Another user's cluster is not ours to see: as if it were not there.
    private static string[] Guarded(Func<string[]> list)
    {
        try
        {
            return list();
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            return [];
        }
    }
}

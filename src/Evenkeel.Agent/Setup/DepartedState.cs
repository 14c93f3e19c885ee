using System.Globalization;

namespace Evenkeel.Agent.Setup;

/// <summary>The state of a node that has left: kept below its directory, where no agent looks for it.</summary>
public static class DepartedState
{
    private const string Prefix = "left-";

    /// <summary>Moves all that is in the directory into one of its own; <c>agent.json</c>, which makes it a node's, first.</summary>
    /// <returns>Where it is now.</returns>
    /// <exception cref="IOException">It cannot be moved; the directory is no node's any more all the same, or nothing was changed.</exception>
    public static string PutAway(string stateDirectory, DateTimeOffset now)
    {
        var aside = Directory.CreateDirectory(Path.Combine(stateDirectory, Prefix + now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture)),
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        foreach (var path in Directory.GetFileSystemEntries(stateDirectory).Where(path => !Path.GetFileName(path).StartsWith(Prefix, StringComparison.Ordinal))
            .OrderBy(path => Path.GetFileName(path) != NodeSetup.ConfigurationFile))
        {
            Directory.Move(path, Path.Combine(aside, Path.GetFileName(path)));
        }

        return aside;
    }
}

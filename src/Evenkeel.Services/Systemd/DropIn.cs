namespace Evenkeel.Services.Systemd;

/// <summary>
/// A managed unit's drop-in, until the next boot: systemd must not restart what the cluster stopped or moved, and at shutdown the
/// agent goes first (the reverse of the order of starts) and stops or moves the unit itself, where else it would see a failure.
/// </summary>
/// <param name="root"><c>/run/systemd/system</c>; another directory in tests.</param>
public sealed class DropIn(string root = "/run/systemd/system")
{
    private const string Name = "50-evenkeel.conf";

    /// <summary>What is written. Units that are no services have no <c>Restart</c>.</summary>
    internal static string Text(string unit) =>
        "# Written by Evenkeel, which starts and stops this unit.\n[Unit]\nBefore=evenkeel.service\n"
        + (unit.EndsWith(".service", StringComparison.Ordinal) ? "[Service]\nRestart=no\n" : "");

    /// <returns>True when it was not there, or not so: systemd must be reloaded.</returns>
    /// <exception cref="IOException"/>
    /// <exception cref="UnauthorizedAccessException"/>
    internal bool Write(string unit)
    {
        var path = PathOf(unit);
        if (File.Exists(path) && File.ReadAllText(path) == Text(unit))
        {
            return false;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, Text(unit));
        return true;
    }

    internal bool Remove(string unit)
    {
        var path = PathOf(unit);
        if (!File.Exists(path))
        {
            return false;
        }

        File.Delete(path);
        return true;
    }

    private string PathOf(string unit) => Path.Combine(root, unit + ".d", Name);
}

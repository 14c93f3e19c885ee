namespace Evenkeel.Core.Model;

/// <summary>Where a process's own group is in the cgroup v2 hierarchy. Hybrid mounts (v2 at /sys/fs/cgroup/unified) are found as well.</summary>
public static class ControlGroups
{
    /// <summary>The directory of a process's own cgroup, from the texts of /proc/self/mountinfo and /proc/PID/cgroup; null when there is none.</summary>
    public static string? Locate(string mountInfo, string ownCgroups)
    {
        // proc(5): id parent major:minor root mount-point options [optional…] - type source super-options
        foreach (var line in mountInfo.Split('\n'))
        {
            var halves = line.Split(" - ", 2);
            if (halves.Length != 2 || !halves[1].StartsWith("cgroup2 ", StringComparison.Ordinal)) continue;
            var fields = halves[0].Split(' ');
            if (fields.Length < 6) continue;
            var (root, mount) = (Unescape(fields[3]), Unescape(fields[4]));
            var own = ownCgroups.Split('\n').FirstOrDefault(l => l.StartsWith("0::", StringComparison.Ordinal))?[3..] ?? "/";
            if (root != "/" && own.StartsWith(root, StringComparison.Ordinal)) own = own[root.Length..];
            own = own.Trim('/');
            return own.Length == 0 || own.StartsWith("..", StringComparison.Ordinal) ? mount : $"{mount.TrimEnd('/')}/{own}";
        }
        return null;
    }

    // mountinfo writes blanks in paths as octal.
    private static string Unescape(string text) => text.Replace("\\040", " ", StringComparison.Ordinal).Replace("\\011", "\t", StringComparison.Ordinal)
        .Replace("\\012", "\n", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal);
}

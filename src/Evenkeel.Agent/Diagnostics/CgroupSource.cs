using System.Globalization;
using System.Text;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>The cgroups of the guards on this machine and what runs in them.</summary>
internal static class CgroupSource
{
    private const int Deepest = 6;
    private static readonly string[] facts = ["cgroup.events", "pids.current", "pids.max", "memory.current", "cpu.stat", "cgroup.procs"];

    public static Source Create() => new("kernel/cgroups.txt", _ => Task.FromResult<string?>(Describe(File.ReadAllText("/proc/self/mountinfo"))));

    private static string Describe(string mountInfo)
    {
        var text = new StringBuilder();
        // proc(5): the mount point is the fifth field, the file system's type the first behind the dash.
        foreach (var mount in mountInfo.Split('\n').Where(line => line.Contains(" - cgroup2 ", StringComparison.Ordinal)).Select(line => line.Split(' ')[4]))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"cgroup v2 at {mount}");
            foreach (var directory in Directory.EnumerateDirectories(mount, "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = Deepest, IgnoreInaccessible = true })
                .Where(directory => directory[mount.Length..].Contains("evenkeel", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
            {
                text.AppendLine(directory);
                foreach (var fact in facts.Where(fact => File.Exists(Path.Combine(directory, fact))))
                {
                    text.AppendLine(CultureInfo.InvariantCulture, $"  {fact}: {File.ReadAllText(Path.Combine(directory, fact)).TrimEnd().ReplaceLineEndings(" ")}");
                }
            }
        }

        return text.Length > 0 ? text.ToString() : "no cgroup v2 hierarchy is mounted\n";
    }
}

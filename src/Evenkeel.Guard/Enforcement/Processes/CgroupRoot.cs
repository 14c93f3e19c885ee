using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>
/// The guard's own directory in the cgroup v2 hierarchy, below the cgroup that the guard runs in (systemd delegates exactly that
/// with <c>Delegate=yes</c>), one directory an instance inside. Hybrid mounts (v2 at /sys/fs/cgroup/unified) are found as well.
/// </summary>
internal sealed class CgroupRoot
{
    private readonly string parent;

    /// <param name="parent">The cgroup that the guard runs in.</param>
    internal CgroupRoot(string parent, string name) => (this.parent, DirectoryPath) = (parent, Path.Combine(parent, name));

    public string DirectoryPath { get; }

    /// <summary>True when the kernel ends a whole tree at one write (cgroup.kill, Linux 5.14).</summary>
    public bool KillsAtOnce { get; private set; }

    /// <summary>True when pids.max can forbid new processes in a closed group.</summary>
    public bool LimitsProcesses { get; private set; }

    /// <param name="name">The directory's name: unique among the guards of a machine, such as <c>evenkeel-n1</c>.</param>
    /// <returns>Null with the reason where there is no hierarchy or it is not ours to change.</returns>
    public static CgroupRoot? TryCreate(string name, out string? reason)
    {
        try
        {
            var parent = ControlGroups.Locate(File.ReadAllText("/proc/self/mountinfo"), File.ReadAllText("/proc/self/cgroup"));
            if (parent is null)
            {
                reason = "no cgroup v2 hierarchy is mounted";
                return null;
            }
            var root = new CgroupRoot(parent, name);
            root.Make();
            var trial = Directory.CreateDirectory(Path.Combine(root.DirectoryPath, ".trial")).FullName;
            root.KillsAtOnce = File.Exists(Path.Combine(trial, "cgroup.kill"));
            root.LimitsProcesses = File.Exists(Path.Combine(trial, "pids.max"));
            var joinable = File.Exists(Path.Combine(trial, "cgroup.procs"));
            Directory.Delete(trial);
            reason = joinable ? null : $"{parent} holds no cgroups";
            return joinable ? root : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            reason = e.Message;
            return null;
        }
    }

    public CgroupTree Tree(string instance) => new(this, Path.Combine(DirectoryPath, FileName(instance)));

    /// <summary>Ends and removes what an earlier guard left in here; waits at most a second for each.</summary>
    /// <returns>The directories in which processes were found.</returns>
    public IReadOnlyList<string> Sweep()
    {
        var found = new List<string>();
        foreach (var path in Directory.Exists(DirectoryPath) ? Directory.GetDirectories(DirectoryPath) : [])
        {
            var tree = new CgroupTree(this, path);
            if (!tree.IsGone(0, 0))
            {
                found.Add(Path.GetFileName(path));
                tree.Kill(0);
                _ = tree.IsGone(0, 1000);
            }
            tree.Remove();
        }
        return found;
    }

    /// <summary>Makes the guard's own directory, where it is not there (again).</summary>
    /// <exception cref="IOException"/>
    /// <exception cref="UnauthorizedAccessException"/>
    public void Make()
    {
        if (Directory.Exists(DirectoryPath)) return;
        Directory.CreateDirectory(DirectoryPath);
        TryDelegatePids(parent);
        TryDelegatePids(DirectoryPath);
    }

    /// <summary>Removes the guard's own directory when nothing is left in it.</summary>
    public void Remove()
    {
        try
        {
            Directory.Delete(DirectoryPath);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Still in use: the next guard sweeps it.
        }
    }

    private static string FileName(string instance)
    {
        var name = new StringBuilder(instance.Length);
        foreach (var c in instance) name.Append(char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '_');
        return name.ToString();
    }

    private static void TryDelegatePids(string directory)
    {
        try
        {
            if (File.ReadAllText(Path.Combine(directory, "cgroup.controllers")).Split(' ', '\n').Contains("pids"))
                File.WriteAllText(Path.Combine(directory, "cgroup.subtree_control"), "+pids");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not delegated, or a group with processes of its own (EBUSY): LimitsProcesses tells.
        }
    }
}

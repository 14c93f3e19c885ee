using System.Globalization;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>
/// The processes of one instance as a cgroup: no fork, new session or change of user leaves it. <c>cgroup.kill</c> ends all at
/// once, also while they fork; the group is empty when <c>cgroup.events</c> says <c>populated 0</c>.
/// </summary>
internal sealed class CgroupTree(CgroupRoot root, string path) : IProcessTree
{
    private int sentTo;

    public string JoinPath => Path.Combine(path, "cgroup.procs");

    public string? Prepare()
    {
        try
        {
            root.Make();
            Directory.CreateDirectory(path);
            if (root.LimitsProcesses) File.WriteAllText(Path.Combine(path, "pids.max"), "max");
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"cgroup {path}: {e.Message}";
        }
    }

    public void Kill(int mainProcess)
    {
        // A process that has not joined yet is alone; it is the guard's child, so that its id cannot have been given anew.
        if (mainProcess > 0) _ = Libc.kill(mainProcess, Libc.SigKill);
        try
        {
            if (!Directory.Exists(path)) return;
            if (root.LimitsProcesses) File.WriteAllText(Path.Combine(path, "pids.max"), "0");
            if (root.KillsAtOnce) File.WriteAllText(Path.Combine(path, "cgroup.kill"), "1");
            else foreach (var process in Processes()) _ = Libc.kill(process, Libc.SigKill);
            sentTo++;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone meanwhile; IsGone tells.
        }
    }

    public unsafe bool IsGone(int mainProcess, int milliseconds)
    {
        var events = Libc.open(Path.Combine(path, "cgroup.events"), Libc.OpenCloseOnExec, 0);
        if (events < 0) return true;
        try
        {
            var until = Environment.TickCount64 + milliseconds;
            var text = stackalloc byte[256];
            while (true)
            {
                _ = Libc.lseek(events, 0, 0);
                var count = (int)Libc.read(events, text, 256);
                if (count < 0 || !new ReadOnlySpan<byte>(text, Math.Max(count, 0)).StartsWith("populated 1"u8)) return true;
                var left = (int)(until - Environment.TickCount64);
                if (left <= 0) return false;
                var entry = new PollEntry { Descriptor = events, Wanted = PollEntry.Priority }; // Woken when the content changes.
                _ = Libc.poll(&entry, 1, left);
                if (!root.KillsAtOnce && sentTo > 0) Kill(0); // What was forked between reading the list and the signals.
            }
        }
        finally
        {
            _ = Libc.close(events);
        }
    }

    public void Remove()
    {
        try
        {
            if (!Directory.Exists(path)) return;
            // A service may have made groups of its own inside; the deepest go first.
            foreach (var inner in Directory.GetDirectories(path, "*", SearchOption.AllDirectories).OrderByDescending(d => d.Length))
                Directory.Delete(inner);
            Directory.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not empty yet: Prepare reuses it, and the sweep at the next start removes it.
        }
    }

    private IEnumerable<int> Processes() => Directory.GetFiles(path, "cgroup.procs", SearchOption.AllDirectories)
        .SelectMany(File.ReadAllLines).Where(l => l.Length > 0).Select(l => int.Parse(l, CultureInfo.InvariantCulture));
}

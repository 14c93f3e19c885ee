using System.Globalization;
using System.Text;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

// Where cgroups are not permitted. A process belongs to the instance when it is in the main process's session, descends from
// one that does, or carries the instance's mark in its environment. One that leaves the session, loses its parent and clears its
// environment escapes; status says so (ProcessLauncher.Missing).

/// <summary>The processes of one instance as a session with its descendants, found by scanning /proc.</summary>
/// <param name="mark">How the mark begins; with a closing zero for exactly one instance.</param>
internal sealed class SessionTree(string mark) : IProcessTree
{
    public const string MarkVariable = "EVENKEEL_TREE";

    public string JoinPath => "";
    public string? Prepare() => null;

    public void Kill(int mainProcess)
    {
        // Again until a scan finds nobody new: processes may have forked between the scan and the signal.
        var sent = new HashSet<int>();
        for (var round = 0; round < 20; round++)
        {
            var found = Members(mainProcess);
            if (!found.Any(sent.Add)) return;
            foreach (var process in found) _ = Libc.kill(process, Libc.SigKill);
        }
    }

    public bool IsGone(int mainProcess, int milliseconds)
    {
        var until = Environment.TickCount64 + milliseconds;
        while (true)
        {
            if (Members(mainProcess).Count == 0) return true;
            if (Environment.TickCount64 >= until) return false;
            unsafe { _ = Libc.poll(null, 0, 1); } // Nothing tells when a process of another parent is gone: look again in a millisecond.
        }
    }

    public void Remove() { }

    private List<int> Members(int mainProcess)
    {
        var all = new Dictionary<int, (int Parent, int Session)>();
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(entry), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && ReadStat(id) is { } stat)
                all[id] = stat;
        var members = all.Where(p => (mainProcess > 0 && (p.Key == mainProcess || p.Value.Session == mainProcess)) || HasMark(p.Key))
            .Select(p => p.Key).ToHashSet();
        while (all.Where(p => members.Contains(p.Value.Parent)).Select(p => p.Key).Where(id => !members.Contains(id)).ToList() is { Count: > 0 } more)
            members.UnionWith(more);
        members.Remove(Environment.ProcessId);
        return [.. members];
    }

    // Null for those that ended (zombies wait for their parent, but do nothing any more).
    private static (int Parent, int Session)? ReadStat(int process)
    {
        try
        {
            // proc(5): pid (name, may hold anything) state ppid pgrp session …
            var text = File.ReadAllText($"/proc/{process}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null
                : (int.Parse(fields[1], CultureInfo.InvariantCulture), int.Parse(fields[3], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private bool HasMark(int process)
    {
        try
        {
            var environment = File.ReadAllBytes($"/proc/{process}/environ").AsSpan();
            var wanted = Encoding.UTF8.GetBytes($"{MarkVariable}={mark}");
            return environment.StartsWith(wanted) || environment.IndexOf((byte[])[0, .. wanted]) >= 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // Another user's, or gone.
        }
    }
}

using System.Globalization;
using System.Text;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

// A parent-death signal reaches the guard's own children only, not theirs. And log files may lie on a disk that hangs, which the
// guard must never touch. One small process does both: its standard input is a pipe whose other end the guard alone holds.

/// <summary>
/// The guard's keeper: keeps the instances' log files within bounds; when the guard is gone (its pipe ends), kills everything
/// that the guard had started, and ends. In a session of its own, so that a terminal's Ctrl-C reaches the guard only.
/// </summary>
internal static unsafe class Keeper
{
    private const char Field = '\x1f', End = '\x1e';
    private const int RotateEveryMilliseconds = 2000;

    public static string Encode(params ReadOnlySpan<string> fields) => string.Join(Field, fields!) + End;

    /// <param name="tree">The cgroup directory of all instances (a path), or the beginning of their marks.</param>
    public static int Run(string tree)
    {
        _ = Libc.setsid();
        var instances = new Dictionary<string, (int Process, string LogFile)>();
        var pending = new StringBuilder();
        var decoder = Encoding.UTF8.GetDecoder();
        var characters = new char[4096];
        var bytes = stackalloc byte[4096];
        var nextRotation = Environment.TickCount64;
        while (true)
        {
            var entry = new PollEntry { Descriptor = 0, Wanted = PollEntry.In };
            var wait = (int)Math.Max(0, nextRotation - Environment.TickCount64);
            if (Libc.poll(&entry, 1, instances.Count == 0 ? -1 : wait) > 0)
            {
                var count = Libc.read(0, bytes, 4096);
                if (count <= 0) break;
                pending.Append(characters, 0, decoder.GetChars(new ReadOnlySpan<byte>(bytes, (int)count), characters, flush: false));
                Apply(Complete(pending), instances);
            }
            if (Environment.TickCount64 < nextRotation) continue;
            foreach (var (_, log) in instances.Values) LogRotation.Rotate(log);
            nextRotation = Environment.TickCount64 + RotateEveryMilliseconds;
        }
        KillAll(tree, instances.Values.Select(i => i.Process));
        return 0;
    }

    private static string[] Complete(StringBuilder pending)
    {
        var all = pending.ToString();
        var end = all.LastIndexOf(End);
        if (end < 0) return [];
        pending.Remove(0, end + 1);
        return all[..end].Split(End);
    }

    private static void Apply(string[] records, Dictionary<string, (int, string)> instances)
    {
        foreach (var record in records)
        {
            var fields = record.Split(Field);
            if (fields is ["+", var name, var process, var log]) instances[name] = (int.Parse(process, CultureInfo.InvariantCulture), log);
            else if (fields is ["-", var gone]) instances.Remove(gone);
        }
    }

    private static void KillAll(string tree, IEnumerable<int> sessions)
    {
        if (!tree.StartsWith('/'))
        {
            var all = new SessionTree(tree);
            foreach (var session in sessions) all.Kill(session);
            all.Kill(0);
            return;
        }
        try
        {
            File.WriteAllText(Path.Combine(tree, "cgroup.kill"), "1"); // Every group below as well.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nothing was started, or a kernel without cgroup.kill: the sweep ends process by process.
        }
        var root = new CgroupRoot(Path.GetDirectoryName(tree)!, Path.GetFileName(tree));
        root.Sweep();
        root.Remove();
    }
}

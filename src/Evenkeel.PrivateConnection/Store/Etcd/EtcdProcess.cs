using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// The etcd process of one member. It outlives the agent on purpose (a restarted agent adopts it: losing the coordination
/// store's member for an upgrade of the agent would cost quorum); who wants it gone stops it.
/// </summary>
public sealed partial class EtcdProcess : IDisposable
{
    private const int Terminate = 15;
    private static readonly TimeSpan ExecTime = TimeSpan.FromMilliseconds(500);
    private readonly Process _process;
    private readonly EtcdGroup? _group;
    private Task? _ended;

    private EtcdProcess(EtcdMember member, Process process, bool adopted)
    {
        Member = member;
        _process = process;
        Adopted = adopted;
        if (member.OwnGroup)
        {
            _group = EtcdGroup.TryTake(member, process.Id, out var reason);
            GroupTrouble = reason;
        }
    }

    public EtcdMember Member { get; }
    public int Id => _process.Id;
    public bool HasExited => _process.HasExited;

    /// <summary>It ran already, under the same data directory.</summary>
    public bool Adopted { get; }

    /// <summary>Directory of the cgroup that it has for itself; null where it has none.</summary>
    public string? Group => _group?.DirectoryPath;

    /// <summary>Why it has none though it should, in words.</summary>
    public string? GroupTrouble { get; }

    /// <summary>Starts the member, or adopts the one that runs on this data directory. Returns before it answers.</summary>
    /// <exception cref="EtcdStartException">The program is missing, or a directory cannot be made; says how to mend it.</exception>
    public static EtcdProcess Start(EtcdMember member)
    {
        if (FindRunning(member) is { } running)
        {
            return new EtcdProcess(member, running, adopted: true);
        }

        var program = EtcdPrograms.Find(member.Program) ?? throw new EtcdStartException(
            $"etcd was not found ({member.Program}). Install it (Debian, Ubuntu: 'apt install etcd-server', then 'systemctl disable --now etcd', "
            + "because Evenkeel starts its own; or https://etcd.io, 3.4 or later)");
        EtcdPrograms.CheckVersion(program);
        try
        {
            Directory.CreateDirectory(member.StateDirectory);
            // etcd insists on 0700.
            Directory.CreateDirectory(member.DataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new EtcdStartException($"etcd's data directory {member.DataDirectory} cannot be made: {exception.Message}");
        }

        var process = Launch(member, program);
        try
        {
            File.WriteAllText(member.PidFile, process.Id.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A full or read-only disk. The file is for people: who looks for the process finds it by its arguments.
        }

        return new EtcdProcess(member, process, adopted: false);
    }

    /// <summary>A process works on the member's data now.</summary>
    public static bool IsRunning(EtcdMember member)
    {
        using var running = FindRunning(member);
        return running is { HasExited: false };
    }

    /// <summary>Returns when it has ended, when <paramref name="atMost"/> has passed, or when cancelled.</summary>
    public async Task EndedAsync(TimeSpan atMost, CancellationToken cancellation) =>
        await (_ended ??= _process.WaitForExitAsync(CancellationToken.None)).WaitAsync(atMost, cancellation)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>Asks it to end (it hands its leadership over first), and kills it when it has not after <paramref name="patience"/>.</summary>
    public async Task StopAsync(TimeSpan patience)
    {
        if (!_process.HasExited)
        {
            _ = SendSignal(_process.Id, Terminate);
            using var limit = new CancellationTokenSource(patience);
            try
            {
                await _process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                Kill();
                await _process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }

        await EndGroupAsync().ConfigureAwait(false);
        try
        {
            File.Delete(Member.PidFile);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It names nobody any more.
        }
    }

    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        // Last: who waits for the end of the process may let go of its handle at once.
        _group?.Kill();
    }

    /// <summary>Once it has ended: nothing that it began is left, nor its cgroup.</summary>
    public Task EndGroupAsync() => _group?.EndAsync() ?? Task.CompletedTask;

    /// <summary>Lets go of the handle; the process runs on.</summary>
    public void Dispose() => _process.Dispose();

    /// <summary>The log's last lines, for people: why it ended.</summary>
    public string LastWords(int lines = 3)
    {
        try
        {
            return string.Join('\n', File.ReadLines(Member.LogFile).TakeLast(lines));
        }
        catch (IOException)
        {
            return "(no log)";
        }
    }

    private static Process Launch(EtcdMember member, string program)
    {
        // 'nice' raises the priority of every thread from the first one on, and goes on without where that is not permitted.
        // The shell only gives it a place for words beside its log, and becomes it: a Go program that writes to the standard error
        // of an agent that is gone would be ended by the broken pipe.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        string[] nice = EtcdPrograms.Find("nice") is { } found ? [found, "-n", "-5"] : [];
        foreach (var argument in (string[])["-c", "exec \"$@\" >>\"$0\" 2>&1", member.LogFile, .. nice, program, .. member.Arguments()])
        {
            start.ArgumentList.Add(argument);
        }

        // Settings of an etcd of the machine's own must not leak into ours.
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("ETCD_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        try
        {
            return Process.Start(start) ?? throw new EtcdStartException($"{program} could not be started");
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new EtcdStartException($"{program} could not be started: {exception.Message}");
        }
    }

    // By its arguments alone: the file with its number is missing where the disk was full when it was started, and a second etcd on
    // the same data must never be started.
    private static Process? FindRunning(EtcdMember member)
    {
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && WorksOn(member.DataDirectory, directory))
            {
                try
                {
                    return Process.GetProcessById(id);
                }
                catch (ArgumentException)
                {
                    // It has ended meanwhile.
                }
            }
        }

        return null;
    }

    private static bool WorksOn(string data, string process)
    {
        try
        {
            var arguments = Arguments(process);
            // 'snapshot restore' is told the directory too. A container's etcd may have the same path, and other data.
            return Array.IndexOf(arguments, "--data-dir") is > 0 and var at && arguments.ElementAtOrDefault(at + 1) == data
                && !arguments.Contains("restore") && SharesProcesses(process);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false; // It has ended, or is not ours to see.
        }
    }

    // A process has none for the moment in which it becomes another program (here sh, nice, etcd), and would be overlooked. Kernel
    // threads and the dead never have any, but no program either.
    private static string[] Arguments(string process)
    {
        for (var begun = Stopwatch.GetTimestamp(); ; Thread.Sleep(1))
        {
            var line = File.ReadAllText(Path.Combine(process, "cmdline"));
            if (line.Length > 0 || Stopwatch.GetElapsedTime(begun) > ExecTime || new FileInfo(Path.Combine(process, "exe")).LinkTarget is null)
            {
                return line.Split('\0');
            }
        }
    }

    private static bool SharesProcesses(string process)
    {
        try
        {
            return new FileInfo(Path.Combine(process, "ns/pid")).LinkTarget is not { } theirs || theirs == new FileInfo("/proc/self/ns/pid").LinkTarget;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return true; // Rather none than two.
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int process, int signal);
}

/// <summary>etcd could not be started; the message says why and what to do.</summary>
public sealed class EtcdStartException(string message) : Exception(message);

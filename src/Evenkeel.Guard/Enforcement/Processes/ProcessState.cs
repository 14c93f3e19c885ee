using System.Globalization;
using System.Runtime.InteropServices;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>What a service's process must not inherit from the guard, and what it gets instead. Called in <see cref="RunMode"/> alone.</summary>
internal static unsafe class ProcessState
{
    public const int LogMode = 0x1A0; // 0640

    public static string? OpenLog(string path)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } directory) Directory.CreateDirectory(directory);
        var log = Libc.open(path, Libc.OpenWriteOnly | Libc.OpenCreate | Libc.OpenAppend | Libc.OpenCloseOnExec, LogMode);
        if (log < 0) return $"log file {path}: {Libc.Describe(Libc.LastError)}";
        return Libc.dup2(log, 1) < 0 || Libc.dup2(log, 2) < 0 ? $"log file {path}: {Libc.Describe(Libc.LastError)}" : null;
    }

    /// <summary>SCHED_OTHER at nice 0, the kernel's default timer slack (50 µs), no protection from the out-of-memory killer.</summary>
    public static void ResetScheduling()
    {
        var none = 0;
        _ = Libc.sched_setscheduler(0, 0, &none);
        _ = Libc.setpriority(0, 0, 0);
        _ = Libc.prctl(Libc.SetTimerSlack, 50_000, 0, 0, 0);
        try
        {
            File.WriteAllText("/proc/self/oom_score_adj", "0");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Without privileges the guard could not lower its own, so there is nothing to take back.
        }
    }

    /// <summary>Empty mask; what the runtime ignores (SIGPIPE) back to default. Handlers go by themselves at execve.</summary>
    public static void ResetSignals()
    {
        const int setMask = 2, signals = 64;
        var action = stackalloc nint[32]; // struct sigaction: handler first, in both C libraries.
        for (var signal = 1; signal <= signals; signal++)
        {
            new Span<nint>(action, 32).Clear();
            if (Libc.sigaction(signal, null, action) != 0 || action[0] != 1) continue; // 1 = SIG_IGN
            new Span<nint>(action, 32).Clear();
            _ = Libc.sigaction(signal, action, null);
        }
        var empty = stackalloc ulong[16];
        new Span<ulong>(empty, 16).Clear();
        _ = Libc.pthread_sigmask(setMask, empty, null);
    }

    /// <summary>Everything but standard input, output and error closes at execve.</summary>
    public static void CloseOnExec()
    {
        const int closeOnExec = 4;
        if (Libc.close_range(3, uint.MaxValue, closeOnExec) == 0) return;
        foreach (var entry in Directory.GetFiles("/proc/self/fd")) // Linux before 5.11.
            if (int.Parse(Path.GetFileName(entry), CultureInfo.InvariantCulture) is var fd and > 2)
                _ = Libc.fcntl(fd, Libc.SetDescriptorFlags, Libc.DescriptorCloseOnExec);
    }

    /// <summary>Supplementary groups, group and user, in this order. <paramref name="user"/>: <c>name</c>, <c>name:group</c> or a number; empty stays.</summary>
    public static string? BecomeUser(string user, out string[] environment)
    {
        environment = [];
        if (user.Length == 0) return null;
        var parts = user.Split(':', 2);
        var buffer = new byte[16384];
        fixed (byte* space = buffer)
        {
            PasswordEntry entry;
            PasswordEntry* found;
            _ = uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? Libc.getpwuid_r(number, &entry, space, (nuint)buffer.Length, &found)
                : Libc.getpwnam_r(parts[0], &entry, space, (nuint)buffer.Length, &found);
            if (found is null) return $"there is no user {parts[0]}";
            var (id, group) = (entry.User, entry.Group);
            var name = Marshal.PtrToStringUTF8((nint)entry.Name) ?? "";
            environment =
            [
                $"USER={name}", $"LOGNAME={name}", $"HOME={Marshal.PtrToStringUTF8((nint)entry.Home)}", $"SHELL={Marshal.PtrToStringUTF8((nint)entry.Shell)}",
            ];
            if (parts.Length == 2 && Group(parts[1], ref group) is { } noGroup) return noGroup;
            if (id == Libc.geteuid() && group == Libc.getegid()) return null;
            if (Libc.initgroups(name, group) != 0 || Libc.setresgid(group, group, group) != 0 || Libc.setresuid(id, id, id) != 0)
                return $"cannot become user {user}: {Libc.Describe(Libc.LastError)}";
            return null;
        }
    }

    private static string? Group(string name, ref uint group)
    {
        if (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            group = number;
            return null;
        }
        var buffer = new byte[65536];
        fixed (byte* space = buffer)
        {
            GroupEntry entry;
            GroupEntry* found;
            _ = Libc.getgrnam_r(name, &entry, space, (nuint)buffer.Length, &found);
            if (found is null) return $"there is no group {name}";
            group = entry.Group;
            return null;
        }
    }
}

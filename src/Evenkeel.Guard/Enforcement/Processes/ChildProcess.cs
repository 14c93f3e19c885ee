using System.Text;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Scheduling;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>A child of the calling thread, made by posix_spawn (as quick as vfork, safe with threads); reaped by polling.</summary>
internal static unsafe class ChildProcess
{
    private const int HighDescriptor = 200; // Above 3 and 4, so that placing one of the two cannot overwrite the other.

    /// <summary>The guard's own command: its binary, or the runtime with its assembly where it was started so.</summary>
    public static IReadOnlyList<string> OwnCommand { get; } =
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? [Environment.ProcessPath!, Path.Combine(AppContext.BaseDirectory, "evenkeel-guard.dll")] : [Environment.ProcessPath ?? "/proc/self/exe"];

    /// <param name="descriptors">Become 0, 3, 4 … of the child in order; a negative first one stands for /dev/null.</param>
    /// <returns>The process id, or a negative error number.</returns>
    public static int Spawn(IReadOnlyList<string> command, ReadOnlySpan<int> descriptors)
    {
        using var arguments = new StringVector(command);
        using var environment = new StringVector([.. OwnEnvironment()]);
        var actions = stackalloc byte[256]; // posix_spawn_file_actions_t is 80 bytes in glibc, 80 in musl.
        _ = Libc.posix_spawn_file_actions_init(actions);
        if (descriptors[0] < 0) _ = Libc.posix_spawn_file_actions_addopen(actions, 0, "/dev/null", 0, 0);
        else _ = Libc.posix_spawn_file_actions_adddup2(actions, descriptors[0], 0);
        for (var i = 1; i < descriptors.Length; i++) _ = Libc.posix_spawn_file_actions_adddup2(actions, descriptors[i], i + 2);
        int process;
        using var urgent = GuardPriority.Urgent();
        var error = Libc.posix_spawn(&process, arguments.First, actions, null, arguments.Pointers, environment.Pointers);
        _ = Libc.posix_spawn_file_actions_destroy(actions);
        return error == 0 ? process : -error;
    }

    /// <summary>A pipe; both ends close at execve and sit above the numbers that a child gets.</summary>
    public static bool Pipe(out int read, out int write)
    {
        var ends = stackalloc int[2];
        read = write = -1;
        if (Libc.pipe2(ends, Libc.OpenCloseOnExec) != 0) return false;
        (read, write) = (Raise(ends[0]), Raise(ends[1]));
        return true;
    }

    /// <summary>A file in memory with this content, read from its beginning by the child.</summary>
    public static int MemoryFile(string name, ReadOnlySpan<byte> content)
    {
        var file = Libc.memfd_create(name, 1);
        if (file < 0) return -1;
        fixed (byte* bytes = content)
            for (nint done = 0; done < content.Length;)
            {
                var count = Libc.write(file, bytes + done, content.Length - done);
                if (count <= 0) break;
                done += count;
            }
        return Raise(file);
    }

    /// <summary>Reaps the child if it has ended: its exit code, 128 + signal number when a signal ended it; null while it runs.</summary>
    public static int? Reap(int process)
    {
        int status;
        var result = Libc.waitpid(process, &status, Libc.WaitNoHang);
        if (result == 0 || (result < 0 && Libc.LastError == Errno.Interrupted)) return null;
        if (result < 0) return 255; // No such child: reaped by somebody else, its code is lost.
        return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
    }

    /// <summary>Readable once the child has ended (pidfd_open, Linux 5.3); -1 before that version.</summary>
    public static int Descriptor(int process) => (int)Libc.syscall(434, process, 0);

    /// <summary>What is in the pipe; null when it would wait, empty at its end.</summary>
    public static string? ReadAvailable(int descriptor)
    {
        var entry = new PollEntry { Descriptor = descriptor, Wanted = PollEntry.In };
        if (Libc.poll(&entry, 1, 0) <= 0) return null;
        var bytes = stackalloc byte[4096];
        var count = Libc.read(descriptor, bytes, 4096);
        return count <= 0 ? "" : Encoding.UTF8.GetString(bytes, (int)count);
    }

    private static int Raise(int descriptor)
    {
        var high = Libc.fcntl(descriptor, Libc.DuplicateCloseOnExec, HighDescriptor);
        if (high < 0) return descriptor;
        _ = Libc.close(descriptor);
        return high;
    }

    private static IEnumerable<string> OwnEnvironment()
    {
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables()) yield return $"{variable.Key}={variable.Value}";
    }
}

using System.Runtime.InteropServices;

namespace Evenkeel.Guard.Enforcement.Native;

// Processes, credentials, scheduling.
internal static unsafe partial class Libc
{
    public const int SigKill = 9, SigTerm = 15, WaitNoHang = 1;
    public const int OpenWriteOnly = 1, OpenReadWrite = 2, OpenCreate = 0x40, OpenAppend = 0x400, OpenNonBlocking = 0x800, OpenCloseOnExec = 0x80000;
    public const int SetDescriptorFlags = 2, GetDescriptorFlags = 1, DuplicateCloseOnExec = 1030, DescriptorCloseOnExec = 1;
    public const int SetParentDeathSignal = 1, SetTimerSlack = 29, SetChildSubreaper = 36;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int pipe2(int* ends, int flags);
    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int memfd_create(string name, uint flags);
    [LibraryImport(Library, SetLastError = true)]
    public static partial long lseek(int fd, long offset, int whence);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int fcntl(int fd, int command, nint argument);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int dup2(int from, int to);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int close_range(uint first, uint last, int flags);

    [LibraryImport(Library)]
    public static partial int posix_spawn(int* pid, byte* path, void* actions, void* attributes, byte** arguments, byte** environment);
    [LibraryImport(Library)]
    public static partial int posix_spawn_file_actions_init(void* actions);
    [LibraryImport(Library)]
    public static partial int posix_spawn_file_actions_destroy(void* actions);
    [LibraryImport(Library)]
    public static partial int posix_spawn_file_actions_adddup2(void* actions, int from, int to);
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int posix_spawn_file_actions_addopen(void* actions, int fd, string path, int flags, uint mode);

    [LibraryImport(Library)]
    public static partial int posix_spawnattr_init(void* attributes);
    [LibraryImport(Library)]
    public static partial int posix_spawnattr_destroy(void* attributes);
    [LibraryImport(Library)]
    public static partial int posix_spawnattr_setflags(void* attributes, short flags);
    [LibraryImport(Library)]
    public static partial int posix_spawnattr_setpgroup(void* attributes, int group);
    [LibraryImport(Library)]
    public static partial int posix_spawnattr_setsigmask(void* attributes, void* signals);
    [LibraryImport(Library)]
    public static partial int posix_spawnattr_setsigdefault(void* attributes, void* signals);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int execve(byte* path, byte** arguments, byte** environment);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int waitpid(int pid, int* status, int options);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int kill(int pid, int signal);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int prctl(int option, nuint argument, nuint third, nuint fourth, nuint fifth);
    [LibraryImport(Library, SetLastError = true)]
    public static partial long syscall(long number, long first, long second);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int epoll_create1(int flags);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int epoll_ctl(int epoll, int operation, int fd, void* wanted);
    [LibraryImport(Library)]
    public static partial int getpid();
    [LibraryImport(Library)]
    public static partial int getppid();
    [LibraryImport(Library)]
    public static partial uint geteuid();
    [LibraryImport(Library)]
    public static partial uint getegid();
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setsid();
    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chdir(string path);
    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int initgroups(string user, uint group);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setgroups(nuint count, uint* groups);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setresgid(uint real, uint effective, uint saved);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setresuid(uint real, uint effective, uint saved);
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int getpwnam_r(string name, PasswordEntry* entry, byte* buffer, nuint length, PasswordEntry** found);
    [LibraryImport(Library)]
    public static partial int getpwuid_r(uint id, PasswordEntry* entry, byte* buffer, nuint length, PasswordEntry** found);
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int getgrnam_r(string name, GroupEntry* entry, byte* buffer, nuint length, GroupEntry** found);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int sigaction(int signal, void* action, void* old);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int pthread_sigmask(int how, void* set, void* old);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int sched_getscheduler(int thread);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int sched_setscheduler(int thread, int policy, int* priority);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setpriority(int which, uint who, int priority);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int mlockall(int flags);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int getrlimit(int resource, ulong* softAndHard);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, void* argument);
}

/// <summary><c>struct passwd</c> (glibc and musl, 64 bit).</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PasswordEntry
{
    public byte* Name;
    public byte* Password;
    public uint User;
    public uint Group;
    public byte* Comment;
    public byte* Home;
    public byte* Shell;
}

/// <summary><c>struct group</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GroupEntry
{
    public byte* Name;
    public byte* Password;
    public uint Group;
    public byte** Members;
}

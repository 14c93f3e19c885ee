using System.Runtime.InteropServices;

namespace Evenkeel.Guard.Native;

/// <summary>The system calls that the loop needs and .NET does not offer without allocation, exceptions or threads.</summary>
internal static unsafe partial class Libc
{
    public const short PollIn = 1, PollOut = 4, PollErr = 8, PollHup = 16;
    public const int MsgDontWait = 0x40, MsgNoSignal = 0x4000;
    public const int EAgain = 11, EIntr = 4;
    private const long SysPidfdSendSignal = 424, SysPidfdOpen = 434;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int Fd;
        public short Events;
        public short Returned;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    public static partial int ClockGetTime(int clock, TimeSpec* time);

    [LibraryImport("libc", EntryPoint = "ppoll", SetLastError = true)]
    public static partial int Poll(PollFd* fds, nuint count, TimeSpec* timeout, nint signals);

    [LibraryImport("libc", EntryPoint = "recvfrom", SetLastError = true)]
    public static partial nint ReceiveFrom(int fd, byte* buffer, nuint length, int flags, nint address, nint addressLength);

    [LibraryImport("libc", EntryPoint = "sendto", SetLastError = true)]
    public static partial nint SendTo(int fd, byte* buffer, nuint length, int flags, byte* address, uint addressLength);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    public static partial int GetSocketOption(int fd, int level, int name, void* value, uint* length);

    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int fd, void* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "setsid", SetLastError = true)]
    public static partial int SetSid();

    [LibraryImport("libc", EntryPoint = "dup2", SetLastError = true)]
    public static partial int Dup2(int from, int to);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "umask")]
    public static partial uint UMask(uint mask);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SysCall(long number, long first, long second, long third, long fourth);

    /// <summary>A handle on exactly this process: its number may be given to another later, the handle never (pidfd_open(2), Linux 5.3).</summary>
    /// <returns>-1 when there is no such process, or the kernel is too old.</returns>
    public static int PidfdOpen(int processId) => (int)SysCall(SysPidfdOpen, processId, 0, 0, 0);

    /// <returns>Zero when sent.</returns>
    public static int PidfdSendSignal(int pidfd, int signal) => (int)SysCall(SysPidfdSendSignal, pidfd, signal, 0, 0);
}

using System.Runtime.InteropServices;

namespace Evenkeel.Guard.Enforcement.Native;

/// <summary>The C library's calls, as Linux (glibc and musl, 64 bit) declares them. Failures return -1 and leave <c>errno</c>.</summary>
internal static unsafe partial class Libc
{
    private const string Library = "libc";

    public const int AfInet = 2, AfInet6 = 10, AfNetlink = 16, AfPacket = 17;
    public const int SockDatagram = 2, SockRaw = 3, SockCloseOnExec = 0x80000, SockNonBlocking = 0x800;
    public const int DontWait = 0x40;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int socket(int family, int type, int protocol);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int bind(int fd, void* address, int length);
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint sendto(int fd, void* data, nint length, int flags, void* address, int addressLength);
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint recv(int fd, void* data, nint length, int flags);
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint recvfrom(int fd, void* data, nint length, int flags, void* address, int* addressLength);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setsockopt(int fd, int level, int option, void* value, int length);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int close(int fd);
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint read(int fd, void* data, nint length);
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint write(int fd, void* data, nint length);
    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string path, int flags, int mode);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int poll(PollEntry* entries, nuint count, int milliseconds);
    public const int MapReadWrite = 3, MapShared = 1;
    public static void* MapFailed => (void*)-1;

    [LibraryImport(Library, SetLastError = true)]
    public static partial void* mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int munmap(void* address, nuint length);
    [LibraryImport(Library)]
    public static partial int clock_gettime(int clock, TimeSpec* time);
    [LibraryImport(Library)]
    public static partial int clock_getres(int clock, TimeSpec* time);

    /// <summary>The message of an error number, with its number.</summary>
    public static string Describe(int error) => $"{Marshal.GetPInvokeErrorMessage(error)} (errno {error})";

    public static int LastError => Marshal.GetLastPInvokeError();
}

[StructLayout(LayoutKind.Sequential)]
internal struct TimeSpec
{
    public long Seconds;
    public long Nanoseconds;
}

[StructLayout(LayoutKind.Sequential)]
internal struct PollEntry
{
    public int Descriptor;
    public short Wanted;
    public short Got;
    public const short In = 1, Priority = 2, Error = 8, HangUp = 16;
}

/// <summary>Error numbers of Linux on x86-64 and arm64 that decisions here depend on.</summary>
internal static class Errno
{
    public const int NotPermitted = 1, NotFound = 2, NoSuchProcess = 3, Interrupted = 4, NoSuchDevice = 19, Again = 11, AccessDenied = 13,
        Busy = 16, Exists = 17, Invalid = 22, NotSupported = 95, AddressNotAvailable = 99, NoBufferSpace = 105;
}

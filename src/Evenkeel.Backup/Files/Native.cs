using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Backup.Files;

/// <summary>
/// The C library's file calls. .NET's own lose invalid UTF-8 names, nanoseconds, devices and extended attributes.
/// Paths are zero-terminated bytes. Calls return −1 and set the last error as C's do.
/// </summary>
internal static unsafe partial class Native
{
    public const int CurrentDirectory = -100;
    public const int SymlinkNoFollow = 0x100;
    public const int ErrorNoEntry = 2;
    public const int ErrorIo = 5;
    public const int ErrorPermission = 13;
    public const int ErrorExists = 17;
    public const int ErrorNotPermitted = 1;
    public const int ErrorRange = 34;
    public const int ErrorNoData = 61;
    public const int ErrorNotSupported = 95;
    public const int ErrorNoSpace = 28;
    public const int OpenReadOnly = 0;
    public const int OpenNoFollow = 0x20000; // differs on arm64: see OpenFlags
    public const int OpenCloseOnExec = 0x80000;
    public const int NonBlocking = 0x800;
    private const string C = "libc";

    /// <summary><c>struct statx</c> (linux/stat.h): the same on every architecture, unlike <c>struct stat</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Statx
    {
        public uint Mask, BlockSize;
        public ulong Attributes;
        public uint Links, UserId, GroupId;
        public ushort Mode, Pad0;
        public ulong Inode, Size, Blocks, AttributesMask;
        public StatxTime Accessed, Born, Changed, Modified;
        public uint DeviceMajor, DeviceMinor, HolderMajor, HolderMinor;
        public ulong MountId;
        public fixed ulong Spare[13];
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct StatxTime
    {
        public long Seconds;
        public uint Nanoseconds;
        public int Pad;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct TimeSpec
    {
        public long Seconds, Nanoseconds;
    }

    public static uint UserId => getuid();

    public static uint GroupId => getgid();

    /// <summary>O_NOFOLLOW: its value is the architecture's own.</summary>
    public static int NoFollow => RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x8000 : OpenNoFollow;

    /// <summary>Opens a directory for <see cref="Flush"/>; invalid when it cannot be opened.</summary>
    public static SafeFileHandle OpenDirectory(string path) =>
        new(open(Marshalled(path), OpenReadOnly | OpenCloseOnExec, 0), ownsHandle: true);

    public static int Flush(SafeFileHandle file) => fsync(file);

    /// <summary>UTF-8 with the zero that C wants.</summary>
    public static byte[] Marshalled(string path)
    {
        var bytes = new byte[System.Text.Encoding.UTF8.GetByteCount(path) + 1];
        System.Text.Encoding.UTF8.GetBytes(path, bytes);
        return bytes;
    }

    [LibraryImport(C, SetLastError = true)]
    public static partial int statx(int directory, byte[] path, int flags, uint mask, out Statx status);

    [LibraryImport(C, SetLastError = true)]
    public static partial int open(byte[] path, int flags, uint mode);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint opendir(byte[] path);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint readdir(nint directory);

    [LibraryImport(C)]
    public static partial int closedir(nint directory);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint readlink(byte[] path, byte* buffer, nuint size);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint llistxattr(byte[] path, byte* list, nuint size);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint lgetxattr(byte[] path, byte* name, byte* value, nuint size);

    [LibraryImport(C, SetLastError = true)]
    public static partial int lsetxattr(byte[] path, byte[] name, byte[] value, nuint size, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int mkdir(byte[] path, uint mode);

    [LibraryImport(C, SetLastError = true)]
    public static partial int rmdir(byte[] path);

    [LibraryImport(C, SetLastError = true)]
    public static partial int unlink(byte[] path);

    [LibraryImport(C, SetLastError = true)]
    public static partial int symlink(byte[] target, byte[] path);

    [LibraryImport(C, SetLastError = true)]
    public static partial int link(byte[] target, byte[] path);

    [LibraryImport(C, SetLastError = true)]
    public static partial int mknod(byte[] path, uint mode, ulong device);

    [LibraryImport(C, SetLastError = true)]
    public static partial int chmod(byte[] path, uint mode);

    [LibraryImport(C, SetLastError = true)]
    public static partial int lchown(byte[] path, uint user, uint group);

    [LibraryImport(C, SetLastError = true)]
    public static partial int utimensat(int directory, byte[] path, TimeSpec* times, int flags);

    [LibraryImport(C)]
    public static partial nint getpwuid(uint user);

    [LibraryImport(C)]
    public static partial nint getgrgid(uint group);

    [LibraryImport(C, SetLastError = true)]
    private static partial int fsync(SafeFileHandle file);

    [LibraryImport(C)]
    private static partial uint getuid();

    [LibraryImport(C)]
    private static partial uint getgid();
}

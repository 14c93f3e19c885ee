using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Raid.Devices;

/// <summary>What .NET's file API does not offer: errors of fsync, reads that never wait, holes, unbuffered access.</summary>
internal static unsafe partial class NativeFile
{
    public const int TryAgain = 11, InvalidArgument = 22;
    private const int NoWait = 8; // RWF_NOWAIT
    private const int GetFlags = 3, SetFlags = 4;
    private const uint BlockDeviceBytes = 0x80081272; // BLKGETSIZE64
    private const int ReadOnly = 0, Exclusive = 0x80, CloseOnExec = 0x80000;
    private const int PunchHole = 2, KeepSize = 1;
    private static readonly int Direct = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;

    [StructLayout(LayoutKind.Sequential)]
    private struct Vector
    {
        public byte* Base;
        public nint Length;
    }

    public static bool IsBlockDevice(SafeFileHandle file)
    {
        ulong bytes;
        return Ask(file, BlockDeviceBytes, &bytes) == 0;
    }

    /// <summary>
    /// Claims a block device as the kernel's own users do (open(2), O_EXCL): null while it is mounted, or a member of an array, of LVM,
    /// or of the device mapper. No such user gets it while the handle is open.
    /// </summary>
    public static SafeFileHandle? Claim(string path)
    {
        var handle = new SafeFileHandle(OpenAt(path, ReadOnly | Exclusive | CloseOnExec), ownsHandle: true);
        if (!handle.IsInvalid) return handle;
        handle.Dispose();
        return null;
    }

    public static long End(SafeFileHandle file) => Seek(file, 0, 2);

    /// <summary>The next byte from <paramref name="from"/> that is not in a hole; -1 if none is left or the file system cannot say.</summary>
    public static long NextData(SafeFileHandle file, long from) => Seek(file, from, 3);

    /// <summary>The next hole from <paramref name="from"/>; the end counts as one. -1 if the file system cannot say.</summary>
    public static long NextHole(SafeFileHandle file, long from) => Seek(file, from, 4);

    /// <summary>0, or an error number.</summary>
    public static int DataSync(SafeFileHandle file) => Sync(file) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Makes a range read as zeros and gives its room back. 0, or an error number.</summary>
    public static int Punch(SafeFileHandle file, long offset, long length) => Allocate(file, PunchHole | KeepSize, offset, length) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Bytes read without waiting for a disk; below zero if there are none.</summary>
    public static long ReadNow(SafeFileHandle file, long offset, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            var vector = new Vector { Base = start, Length = buffer.Length };
            return ReadVector(file, &vector, 1, offset, NoWait);
        }
    }

    /// <summary>Bytes written, at least one; below zero: an error number.</summary>
    public static long Write(SafeFileHandle file, long offset, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            var written = WriteAt(file, start, buffer.Length, offset);
            return written >= 0 ? written : -Marshal.GetLastPInvokeError();
        }
    }

    /// <summary>Turns the page cache off for this file (O_DIRECT); false where it cannot be.</summary>
    public static bool TrySetDirect(SafeFileHandle file) => Control(file, GetFlags, 0) is >= 0 and var flags && Control(file, SetFlags, flags | Direct) == 0;

    /// <summary>Turns it on again.</summary>
    public static void ClearDirect(SafeFileHandle file) => Control(file, SetFlags, Control(file, GetFlags, 0) & ~Direct);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenAt(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ask(SafeFileHandle file, nuint request, void* answer);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "preadv2", SetLastError = true)]
    private static partial long ReadVector(SafeFileHandle file, Vector* vectors, int count, long offset, int flags);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static partial long WriteAt(SafeFileHandle file, byte* buffer, nint length, long offset);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, int command, int argument);
}

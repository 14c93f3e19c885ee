using System.Runtime.InteropServices;

namespace Evenkeel.Raid.Devices.Uring;

/// <summary>The three system calls of io_uring (Linux 5.1 and later; <c>include/uapi/linux/io_uring.h</c>) and what they take.</summary>
internal static unsafe partial class Kernel
{
    public const int Setup = 425, Enter = 426, Register = 427; // the same on every architecture
    public const uint SingleMap = 1, NoDrop = 2; // features
    public const uint GetEvents = 1; // enter
    public const long SubmissionRing = 0, Entries = 0x10000000; // offsets to map
    public const uint RegisterBuffers = 0;
    public const byte ReadFixed = 4, WriteFixed = 5, Fsync = 3, Read = 22, Write = 23, NoOperation = 0;
    public const uint DataSync = 1;

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static partial long SystemCall(long number, long a, long b, long c, long d, long e, long f);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int file);
}

/// <summary><c>struct io_uring_params</c>. From <c>SqHead</c> and <c>CqHead</c> on: where in the mapped ring a field lies, in bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RingParameters
{
    public uint SubmissionEntries, CompletionEntries, Flags, ThreadCpu, ThreadIdle, Features, WorkQueue, Reserved0, Reserved1, Reserved2;
    public uint SqHead, SqTail, SqMask, SqCount, SqFlags, SqDropped, SqArray, SqReserved;
    public ulong SqUserAddress;
    public uint CqHead, CqTail, CqMask, CqCount, CqOverflow, Cqes, CqFlags, CqReserved;
    public ulong CqUserAddress;
}

/// <summary><c>struct io_uring_sqe</c>, as far as used.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct Submission
{
    [FieldOffset(0)] public byte Operation;
    [FieldOffset(4)] public int File;
    [FieldOffset(8)] public long Offset;
    [FieldOffset(16)] public nint Address;
    [FieldOffset(24)] public uint Length;
    [FieldOffset(28)] public uint OperationFlags;
    [FieldOffset(32)] public ulong UserData;
    [FieldOffset(40)] public ushort BufferIndex;
}

/// <summary><c>struct io_uring_cqe</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Completion
{
    public ulong UserData;
    public int Result;
    public uint Flags;
}

using System.Runtime.InteropServices;

namespace Evenkeel.Guard.Enforcement.Native;

/// <summary><c>struct iovec</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MessagePart
{
    public byte* Base;
    public nuint Length;
}

/// <summary><c>struct msghdr</c> on 64-bit Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MessageHeader
{
    public byte* Name;
    public uint NameLength;
    public MessagePart* Parts;
    public nuint PartCount;
    public byte* Control;
    public nuint ControlLength;
    public int Flags;
}

internal static unsafe partial class Libc
{
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint sendmsg(int fd, MessageHeader* message, int flags);
}

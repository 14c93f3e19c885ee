using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Tcp.Linux;

/// <summary>
/// The system calls of the TCP balancer (epoll(7), splice(2), pipe(7), socket(7)). .NET's sockets cannot splice, and their
/// completions cost a thread-pool hop per message. Calls return −1 and set the last error as C's do.
/// </summary>
internal static unsafe partial class Sys
{
    public const int ErrorAgain = 11, ErrorInterrupted = 4, ErrorInProgress = 115, ErrorTooManyFiles = 24, ErrorTableFull = 23;
    public const uint In = 0x1, Out = 0x4, Error = 0x8, HangUp = 0x10, ReadHangUp = 0x2000, Exclusive = 1u << 28, EdgeTriggered = 1u << 31;
    public const int Add = 1, Delete = 2;
    public const int NoSignal = 0x4000, Peek = 0x2, DontWait = 0x40;
    public const int ShutWrite = 1;
    private const int CloseOnExec = 0x80000, NonBlocking = 0x800;
    private const int SolSocket = 1, SoError = 4, SoReceiveBuffer = 8, SoKeepAlive = 9, SoLinger = 13, IpProtoTcp = 6, TcpNoDelay = 1, TcpKeepIdle = 4, TcpKeepInterval = 5, TcpKeepCount = 6;
    private const int SetPipeSize = 1031;
    private const uint SpliceMove = 1, SpliceNonBlock = 2;
    private const string C = "libc";

    /// <summary><c>struct epoll_event</c> is packed on x86-64 only.</summary>
    public static readonly int EventBytes = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    public static readonly int EventDataOffset = EventBytes - 8;

    public static bool Supported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    public static int NewEpoll() => epoll_create1(CloseOnExec);
    public static int NewEvent() => eventfd(0, CloseOnExec | NonBlocking);

    public static bool Watch(int epoll, int descriptor, uint events, ulong data)
    {
        var space = stackalloc byte[16];
        *(uint*)space = events;
        *(ulong*)(space + EventDataOffset) = data;
        return epoll_ctl(epoll, Add, descriptor, space) == 0;
    }

    public static void Unwatch(int epoll, int descriptor) => epoll_ctl(epoll, Delete, descriptor, null);

    public static int Wait(int epoll, byte* events, int most, int milliseconds) => epoll_wait(epoll, events, most, milliseconds);

    public static void Signal(int eventDescriptor)
    {
        var one = 1UL;
        write(eventDescriptor, &one, 8);
    }

    public static void ClearSignal(int eventDescriptor)
    {
        ulong count;
        read(eventDescriptor, &count, 8);
    }

    /// <summary>The next client, non-blocking, with its address in <paramref name="address"/> (at least 28 bytes).</summary>
    public static int Accept(int listener, byte* address)
    {
        var length = 28u;
        return accept4(listener, address, &length, CloseOnExec | NonBlocking);
    }

    public static int NewSocket(AddressFamily family) => socket(family == AddressFamily.InterNetworkV6 ? 10 : 2, 1 | CloseOnExec | NonBlocking, 0);

    public static int Connect(int descriptor, IPEndPoint to)
    {
        var space = stackalloc byte[28];
        var length = SocketAddresses.Write(to, space);
        return connect(descriptor, space, (uint)length);
    }

    /// <summary>Messages leave at once.</summary>
    public static void LeaveAtOnce(int descriptor) => Set(descriptor, IpProtoTcp, TcpNoDelay, 1);

    /// <summary>As <see cref="KernelQueues.Limit"/>.</summary>
    public static void LimitQueues(int descriptor)
    {
        Set(descriptor, KernelQueues.TcpLevel, KernelQueues.NotSentLowWater, KernelQueues.Unsent);
        Set(descriptor, SolSocket, SoReceiveBuffer, KernelQueues.Received);
    }

    /// <summary>A peer that vanished is noticed after about a minute of silence.</summary>
    public static void KeepAlive(int descriptor)
    {
        Set(descriptor, SolSocket, SoKeepAlive, 1);
        Set(descriptor, IpProtoTcp, TcpKeepIdle, 30);
        Set(descriptor, IpProtoTcp, TcpKeepInterval, 10);
        Set(descriptor, IpProtoTcp, TcpKeepCount, 3);
    }

    /// <summary>The outcome of a connect that was in progress: 0 or an errno.</summary>
    public static int PendingError(int descriptor)
    {
        var value = 0;
        var length = 4u;
        return getsockopt(descriptor, SolSocket, SoError, &value, &length) == 0 ? value : Marshal.GetLastPInvokeError();
    }

    /// <summary>The next close of it sends a reset: the peer must not take what it got for the whole.</summary>
    public static void ResetOnClose(int descriptor)
    {
        var linger = stackalloc int[2] { 1, 0 };
        setsockopt(descriptor, SolSocket, SoLinger, linger, 8);
    }

    public static (int Read, int Write) NewPipe(int bytes)
    {
        var ends = stackalloc int[2];
        if (pipe2(ends, CloseOnExec | NonBlocking) != 0) return (-1, -1);
        fcntl(ends[1], SetPipeSize, bytes);
        return (ends[0], ends[1]);
    }

    public static nint Splice(int from, int to, nint bytes) => splice(from, null, to, null, bytes, SpliceMove | SpliceNonBlock);
    public static nint Receive(int descriptor, byte* into, nint bytes, int flags) => recv(descriptor, into, bytes, flags);
    public static nint Send(int descriptor, byte* from, nint bytes) => send(descriptor, from, bytes, NoSignal);
    public static nint Write(int descriptor, byte* from, nint bytes) => write(descriptor, from, bytes);
    public static void Shutdown(int descriptor) => shutdown(descriptor, ShutWrite);
    public static void Close(int descriptor) => close(descriptor);
    public static int LastError => Marshal.GetLastPInvokeError();

    /// <summary>The address that a client connected to.</summary>
    public static IPEndPoint? LocalAddress(int descriptor)
    {
        var space = stackalloc byte[28];
        var length = 28u;
        return getsockname(descriptor, space, &length) == 0 ? SocketAddresses.Read(space) : null;
    }

    private static void Set(int descriptor, int level, int name, int value) => setsockopt(descriptor, level, name, &value, 4);

    [LibraryImport(C, SetLastError = true)] private static partial int epoll_create1(int flags);
    [LibraryImport(C, SetLastError = true)] private static partial int epoll_ctl(int epoll, int operation, int descriptor, void* data);
    [LibraryImport(C, SetLastError = true)] private static partial int epoll_wait(int epoll, void* events, int most, int timeout);
    [LibraryImport(C, SetLastError = true)] private static partial int eventfd(uint initial, int flags);
    [LibraryImport(C, SetLastError = true)] private static partial int accept4(int descriptor, void* address, uint* length, int flags);
    [LibraryImport(C, SetLastError = true)] private static partial int socket(int family, int type, int protocol);
    [LibraryImport(C, SetLastError = true)] private static partial int connect(int descriptor, void* address, uint length);
    [LibraryImport(C, SetLastError = true)] private static partial int getsockname(int descriptor, void* address, uint* length);
    [LibraryImport(C, SetLastError = true)] private static partial int setsockopt(int descriptor, int level, int name, void* value, uint length);
    [LibraryImport(C, SetLastError = true)] private static partial int getsockopt(int descriptor, int level, int name, void* value, uint* length);
    [LibraryImport(C, SetLastError = true)] private static partial int pipe2(int* ends, int flags);
    [LibraryImport(C, SetLastError = true)] private static partial int fcntl(int descriptor, int command, nint value);
    [LibraryImport(C, SetLastError = true)] private static partial nint splice(int from, long* fromOffset, int to, long* toOffset, nint bytes, uint flags);
    [LibraryImport(C, SetLastError = true)] private static partial nint recv(int descriptor, void* into, nint bytes, int flags);
    [LibraryImport(C, SetLastError = true)] private static partial nint send(int descriptor, void* from, nint bytes, int flags);
    [LibraryImport(C, SetLastError = true)] private static partial nint write(int descriptor, void* from, nint bytes);
    [LibraryImport(C, SetLastError = true)] private static partial nint read(int descriptor, void* into, nint bytes);
    [LibraryImport(C, SetLastError = true)] private static partial int shutdown(int descriptor, int how);
    [LibraryImport(C, SetLastError = true)] private static partial int close(int descriptor);
}

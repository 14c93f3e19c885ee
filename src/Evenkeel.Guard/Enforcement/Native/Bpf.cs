using System.Runtime.InteropServices;

namespace Evenkeel.Guard.Enforcement.Native;

/// <summary>The bpf(2) calls that the kernel's lease needs: linux/bpf.h. Each returns a descriptor, or -1 with <c>errno</c> set.</summary>
internal static unsafe partial class Bpf
{
    private const int MapCreate = 0, ProgramLoad = 5;
    private const uint Array = 2, Mappable = 1 << 10;
    public const uint SocketFilter = 1, Classifier = 3;

    /// <summary>One value of so many bytes, that <c>mmap</c> can map.</summary>
    public static int CreateValue(int bytes) => Call(MapCreate, new MapAttributes { Type = Array, KeyBytes = 4, ValueBytes = (uint)bytes, Entries = 1, Flags = Mappable });

    public static int Load(uint type, ReadOnlySpan<ulong> instructions)
    {
        fixed (ulong* first = instructions)
        fixed (byte* license = "Apache-2.0\0"u8)
            return Call(ProgramLoad, new ProgramAttributes { Type = type, Count = (uint)instructions.Length, Instructions = (ulong)first, License = (ulong)license });
    }

    private static int Call<T>(int command, T attributes) where T : unmanaged => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => (int)syscall(321, command, &attributes, (nuint)sizeof(T)),
        Architecture.Arm64 => (int)syscall(280, command, &attributes, (nuint)sizeof(T)),
        _ => -1,
    };

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint command, void* attributes, nuint size);

    [StructLayout(LayoutKind.Sequential)]
    private struct MapAttributes
    {
        public uint Type, KeyBytes, ValueBytes, Entries, Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ProgramAttributes
    {
        public uint Type, Count;
        public ulong Instructions, License;
    }
}

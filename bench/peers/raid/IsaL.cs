using System.Runtime.InteropServices;

namespace Evenkeel.RaidBench;

/// <summary>Intel's library of storage arithmetic (Debian: libisal2). Buffers aligned to 64 bytes.</summary>
internal static unsafe partial class IsaL
{
    /// <summary>The last of the vectors becomes the XOR of the others.</summary>
    [LibraryImport("libisal.so.2", EntryPoint = "xor_gen")]
    public static partial int Xor(int vectors, int length, nint* array);

    /// <summary>The last two become P and Q.</summary>
    [LibraryImport("libisal.so.2", EntryPoint = "pq_gen")]
    public static partial int PQ(int vectors, int length, nint* array);

    [LibraryImport("libisal.so.2", EntryPoint = "ec_init_tables")]
    public static partial void InitTables(int sources, int rows, byte* matrix, byte* tables);

    [LibraryImport("libisal.so.2", EntryPoint = "ec_encode_data")]
    public static partial void Encode(int length, int sources, int rows, byte* tables, nint* data, nint* coding);
}

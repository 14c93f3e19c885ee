namespace Evenkeel.Raid.Devices;

/// <summary>
/// One stretch of pinned memory that buffers are cut from first: the kernel learns its address once (io_uring's registered buffers) and
/// spares the mapping of every single request.
/// </summary>
internal static unsafe class IoArena
{
    public const int Bytes = 32 << 20;
    public const int Alignment = 4096;
    private static readonly byte[] Whole = GC.AllocateUninitializedArray<byte>(Bytes + Alignment, pinned: true);
    private static int _used;

    static IoArena()
    {
        fixed (byte* first = Whole) Start = (nint)(((long)first + Alignment - 1) / Alignment * Alignment);
    }

    /// <summary>Its first byte's address; never changes.</summary>
    public static nint Start { get; }

    public static bool Holds(nint address, int length) => address >= Start && address + length <= Start + Bytes;

    /// <summary>A slab of it, or fresh pinned memory once it is used up; aligned. Never given back.</summary>
    public static (byte[] Array, int Start) Cut(int bytes)
    {
        var at = Interlocked.Add(ref _used, bytes) - bytes;
        if (at >= 0 && at + bytes <= Bytes) return (Whole, at + Offset(Whole));
        Interlocked.Add(ref _used, -bytes);
        var slab = GC.AllocateUninitializedArray<byte>(bytes + Alignment, pinned: true);
        return (slab, Offset(slab));
    }

    private static int Offset(byte[] array)
    {
        fixed (byte* first = array) return (int)((Alignment - (long)first % Alignment) % Alignment);
    }
}

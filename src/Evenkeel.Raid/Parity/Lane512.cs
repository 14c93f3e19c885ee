using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Evenkeel.Raid.Parity;

/// <summary>Sixty-four elements: AVX-512BW.</summary>
internal readonly record struct Lane512(Vector512<byte> Value) : ILane<Lane512>
{
    public static int Bytes => Vector512<byte>.Count;

    public static Lane512 Load(ref readonly byte source) => new(Vector512.LoadUnsafe(in source));

    public static void Store(Lane512 value, ref byte target) => value.Value.StoreUnsafe(ref target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane512 Xor(Lane512 a, Lane512 b) => new(a.Value ^ b.Value);

    // A byte with its top bit set is negative when signed: that comparison yields the mask of bytes to reduce.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane512 Double(Lane512 a) =>
        new((a.Value + a.Value) ^ (Vector512.LessThan(a.Value.AsSByte(), Vector512<sbyte>.Zero).AsByte() & Vector512.Create((byte)0x1d)));

    public static Lane512 LowTable(byte factor) => new(Vector512.Create(NibbleTable.Low(factor)));

    public static Lane512 HighTable(byte factor) => new(Vector512.Create(NibbleTable.High(factor)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane512 Multiply(Lane512 a, Lane512 low, Lane512 high) =>
        new(Avx512BW.Shuffle(low.Value, a.Value & Vector512.Create((byte)0x0f))
            ^ Avx512BW.Shuffle(high.Value, (a.Value.AsUInt16() >>> 4).AsByte() & Vector512.Create((byte)0x0f)));
}

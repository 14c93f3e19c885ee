using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Evenkeel.Raid.Parity;

/// <summary>Thirty-two elements: AVX2.</summary>
internal readonly record struct Lane256(Vector256<byte> Value) : ILane<Lane256>
{
    public static int Bytes => Vector256<byte>.Count;

    public static Lane256 Load(ref readonly byte source) => new(Vector256.LoadUnsafe(in source));

    public static void Store(Lane256 value, ref byte target) => value.Value.StoreUnsafe(ref target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane256 Xor(Lane256 a, Lane256 b) => new(a.Value ^ b.Value);

    // A byte with its top bit set is negative when signed: that comparison yields the mask of bytes to reduce.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane256 Double(Lane256 a) =>
        new((a.Value + a.Value) ^ (Vector256.LessThan(a.Value.AsSByte(), Vector256<sbyte>.Zero).AsByte() & Vector256.Create((byte)0x1d)));

    public static Lane256 LowTable(byte factor) => new(Vector256.Create(NibbleTable.Low(factor)));

    public static Lane256 HighTable(byte factor) => new(Vector256.Create(NibbleTable.High(factor)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane256 Multiply(Lane256 a, Lane256 low, Lane256 high) =>
        new(Avx2.Shuffle(low.Value, a.Value & Vector256.Create((byte)0x0f))
            ^ Avx2.Shuffle(high.Value, (a.Value.AsUInt16() >>> 4).AsByte() & Vector256.Create((byte)0x0f)));
}

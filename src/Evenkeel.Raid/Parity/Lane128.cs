using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Evenkeel.Raid.Parity;

/// <summary>Sixteen elements: SSSE3, NEON, WebAssembly, whatever .NET maps its 128-bit vectors to.</summary>
internal readonly record struct Lane128(Vector128<byte> Value) : ILane<Lane128>
{
    public static int Bytes => Vector128<byte>.Count;

    public static Lane128 Load(ref readonly byte source) => new(Vector128.LoadUnsafe(in source));

    public static void Store(Lane128 value, ref byte target) => value.Value.StoreUnsafe(ref target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane128 Xor(Lane128 a, Lane128 b) => new(a.Value ^ b.Value);

    // A byte with its top bit set is negative when signed: that comparison yields the mask of bytes to reduce.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane128 Double(Lane128 a) =>
        new((a.Value + a.Value) ^ (Vector128.LessThan(a.Value.AsSByte(), Vector128<sbyte>.Zero).AsByte() & Vector128.Create((byte)0x1d)));

    public static Lane128 LowTable(byte factor) => new(NibbleTable.Low(factor));

    public static Lane128 HighTable(byte factor) => new(NibbleTable.High(factor));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lane128 Multiply(Lane128 a, Lane128 low, Lane128 high) =>
        new(Vector128.ShuffleNative(low.Value, a.Value & Vector128.Create((byte)0x0f))
            ^ Vector128.ShuffleNative(high.Value, (a.Value.AsUInt16() >>> 4).AsByte() & Vector128.Create((byte)0x0f)));
}

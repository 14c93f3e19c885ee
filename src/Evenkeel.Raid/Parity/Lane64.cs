using System.Runtime.CompilerServices;

namespace Evenkeel.Raid.Parity;

/// <summary>The portable lane: eight elements in an ordinary register, no vector instruction.</summary>
internal readonly record struct Lane64(ulong Value) : ILane<Lane64>
{
    public static int Bytes => 8;

    public static Lane64 Load(ref readonly byte source) => new(Unsafe.ReadUnaligned<ulong>(in source));

    public static void Store(Lane64 value, ref byte target) => Unsafe.WriteUnaligned(ref target, value.Value);

    public static Lane64 Xor(Lane64 a, Lane64 b) => new(a.Value ^ b.Value);

    // Shift all bytes left; those that had their top bit set are reduced by 0x1d.
    public static Lane64 Double(Lane64 a) =>
        new(((a.Value << 1) & 0xfefefefefefefefe) ^ (((a.Value >> 7) & 0x0101010101010101) * 0x1d));

    public static Lane64 LowTable(byte factor) => new(factor);

    public static Lane64 HighTable(byte factor) => default;

    // Horner's rule over the factor's bits, the highest first.
    public static Lane64 Multiply(Lane64 a, Lane64 low, Lane64 high)
    {
        var product = default(Lane64);
        for (var bit = 7; bit >= 0; bit--)
        {
            product = Double(product);
            if (((low.Value >> bit) & 1) != 0) product = Xor(product, a);
        }

        return product;
    }
}

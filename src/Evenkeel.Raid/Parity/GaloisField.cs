namespace Evenkeel.Raid.Parity;

/// <summary>
/// Arithmetic in GF(2⁸) modulo x⁸+x⁴+x³+x²+1 (0x11d) with generator 2, the field of Linux md's RAID 6
/// (H. P. Anvin, "The mathematics of RAID-6"). Addition is XOR.
/// </summary>
public static class GaloisField
{
    // Exponents are doubled in length so that the sum of two logarithms needs no reduction.
    private static readonly byte[] Exponential = new byte[510];
    private static readonly byte[] Logarithm = new byte[256];

    static GaloisField()
    {
        var value = 1;
        for (var power = 0; power < 255; power++)
        {
            Exponential[power] = Exponential[power + 255] = (byte)value;
            Logarithm[value] = (byte)power;
            value <<= 1;
            if (value > 255) value ^= 0x11d;
        }
    }

    /// <summary>The product of two elements.</summary>
    public static byte Multiply(byte a, byte b) => a == 0 || b == 0 ? (byte)0 : Exponential[Logarithm[a] + Logarithm[b]];

    /// <summary>The multiplicative inverse.</summary>
    /// <exception cref="DivideByZeroException">Zero has none.</exception>
    public static byte Inverse(byte a) => a == 0 ? throw new DivideByZeroException() : Exponential[255 - Logarithm[a]];

    /// <summary>The generator to a power, which may be negative: the weight of data block <paramref name="exponent"/> in Q.</summary>
    public static byte Power(int exponent) => Exponential[((exponent % 255) + 255) % 255];
}

using System.Security.Cryptography;

namespace Evenkeel.Backup.Chunking;

/// <summary>Polynomials over GF(2) in one word: bit i is the coefficient of xⁱ.</summary>
internal static class Polynomial
{
    /// <summary>The degree that repositories use.</summary>
    public const int RepositoryDegree = 53;

    /// <summary>Degree; −1 for zero.</summary>
    public static int Degree(ulong p) => 63 - System.Numerics.BitOperations.LeadingZeroCount(p);

    /// <summary>Remainder of a division.</summary>
    public static ulong Modulo(ulong x, ulong divisor)
    {
        var degree = Degree(divisor);
        for (var d = Degree(x); d >= degree; d = Degree(x))
        {
            x ^= divisor << (d - degree);
        }
        return x;
    }

    /// <summary>x · y modulo p, for p of degree below 63.</summary>
    public static ulong MultiplyModulo(ulong x, ulong y, ulong p)
    {
        var high = 1UL << Degree(p);
        ulong product = 0;
        x = Modulo(x, p);
        for (; y != 0; y >>= 1)
        {
            if ((y & 1) != 0)
            {
                product ^= x;
            }
            x <<= 1;
            if ((x & high) != 0)
            {
                x ^= p;
            }
        }
        return product;
    }

    /// <summary>Ben-Or's test: irreducible when no x^(2^i) − x, i up to half the degree, shares a factor with it.</summary>
    public static bool IsIrreducible(ulong p)
    {
        var power = 2UL;
        for (var i = 1; i <= Degree(p) / 2; i++)
        {
            power = MultiplyModulo(power, power, p);
            if (GreatestCommonDivisor(p, power ^ 2) != 1)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>A random irreducible polynomial of degree 53, as a new repository needs one.</summary>
    public static ulong Random()
    {
        Span<byte> bytes = stackalloc byte[8];
        while (true)
        {
            RandomNumberGenerator.Fill(bytes);
            var candidate = (BitConverter.ToUInt64(bytes) & ((1UL << RepositoryDegree) - 1)) | (1UL << RepositoryDegree) | 1;
            if (IsIrreducible(candidate))
            {
                return candidate;
            }
        }
    }

    private static ulong GreatestCommonDivisor(ulong a, ulong b)
    {
        while (b != 0)
        {
            (a, b) = (b, Modulo(a, b));
        }
        return a;
    }
}

using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Evenkeel.Backup.Crypto;

/// <summary>
/// Poly1305 over the bulk of a long message, four blocks at a time with AVX2.
/// </summary>
/// <remarks>
/// Four lanes carry four interleaved polynomials in r⁴, each number in five limbs of 26 bits (products of two fit 64 bits with
/// room for the sums). At the end lane i is multiplied by r^(4−i) and the lanes are added up.
/// </remarks>
internal static class Poly1305Vector
{
    private const ulong Mask26 = (1UL << 26) - 1;

    /// <summary>Below this the set-up (powers of r) costs more than it saves.</summary>
    public const int MinimumLength = 512;

    public static bool IsSupported => Avx2.IsSupported;

    /// <summary>Absorbs the largest multiple of 64 bytes of the message; returns how many bytes, and the accumulator.</summary>
    public static int Absorb(ulong r0, ulong r1, ReadOnlySpan<byte> message, out ulong h0, out ulong h1, out ulong h2)
    {
        // r, r², r³, r⁴ as three-word numbers.
        Span<ulong> powers = stackalloc ulong[12];
        (powers[0], powers[1], powers[2]) = (r0, r1, 0);
        for (var i = 1; i < 4; i++)
        {
            ulong a = powers[3 * i - 3], b = powers[3 * i - 2], c = powers[3 * i - 1];
            Poly1305.Multiply(ref a, ref b, ref c, r0, r1);
            (powers[3 * i], powers[3 * i + 1], powers[3 * i + 2]) = (a, b, c);
        }
        var step = Spread(powers[9..], powers[9..], powers[9..], powers[9..]);
        var accumulator = default(Limbs);
        var blocks = MemoryMarshal.Cast<byte, Vector256<ulong>>(message);
        var groups = blocks.Length / 2;
        for (var i = 0; i < groups; i++)
        {
            if (i > 0)
            {
                Multiply(ref accumulator, in step);
            }
            AddBlocks(ref accumulator, blocks[2 * i], blocks[2 * i + 1]);
        }
        // The unpack below leaves blocks 0, 2, 1, 3 in the lanes, so their powers are r⁴, r², r³, r.
        var last = Spread(powers[9..], powers[3..], powers[6..], powers);
        Multiply(ref accumulator, in last);
        Collect(in accumulator, out h0, out h1, out h2);
        return groups * 64;
    }

    private struct Limbs
    {
        public Vector256<ulong> A, B, C, D, E;
    }

    private static Limbs Spread(ReadOnlySpan<ulong> x, ReadOnlySpan<ulong> y, ReadOnlySpan<ulong> z, ReadOnlySpan<ulong> w) => new()
    {
        A = Vector256.Create(x[0] & Mask26, y[0] & Mask26, z[0] & Mask26, w[0] & Mask26),
        B = Vector256.Create((x[0] >> 26) & Mask26, (y[0] >> 26) & Mask26, (z[0] >> 26) & Mask26, (w[0] >> 26) & Mask26),
        C = Vector256.Create(Third(x), Third(y), Third(z), Third(w)),
        D = Vector256.Create((x[1] >> 14) & Mask26, (y[1] >> 14) & Mask26, (z[1] >> 14) & Mask26, (w[1] >> 14) & Mask26),
        E = Vector256.Create(Fifth(x), Fifth(y), Fifth(z), Fifth(w)),
    };

    private static ulong Third(ReadOnlySpan<ulong> n) => ((n[0] >> 52) | (n[1] << 12)) & Mask26;

    private static ulong Fifth(ReadOnlySpan<ulong> n) => (n[1] >> 40) | (n[2] << 24);

    private static void AddBlocks(ref Limbs h, Vector256<ulong> first, Vector256<ulong> second)
    {
        var mask = Vector256.Create(Mask26);
        var low = Avx2.UnpackLow(first, second);
        var high = Avx2.UnpackHigh(first, second);
        h.A += low & mask;
        h.B += Vector256.ShiftRightLogical(low, 26) & mask;
        h.C += (Vector256.ShiftRightLogical(low, 52) | Vector256.ShiftLeft(high, 12)) & mask;
        h.D += Vector256.ShiftRightLogical(high, 14) & mask;
        h.E += Vector256.ShiftRightLogical(high, 40) | Vector256.Create(1UL << 24);
    }

    private static Vector256<ulong> Product(Vector256<ulong> x, Vector256<ulong> y) => Avx2.Multiply(x.AsUInt32(), y.AsUInt32());

    private static void Multiply(ref Limbs h, in Limbs r)
    {
        var five = Vector256.Create(5UL);
        Vector256<ulong> b5 = Product(r.B, five), c5 = Product(r.C, five), d5 = Product(r.D, five), e5 = Product(r.E, five);
        var a = Product(h.A, r.A) + Product(h.B, e5) + Product(h.C, d5) + Product(h.D, c5) + Product(h.E, b5);
        var b = Product(h.A, r.B) + Product(h.B, r.A) + Product(h.C, e5) + Product(h.D, d5) + Product(h.E, c5);
        var c = Product(h.A, r.C) + Product(h.B, r.B) + Product(h.C, r.A) + Product(h.D, e5) + Product(h.E, d5);
        var d = Product(h.A, r.D) + Product(h.B, r.C) + Product(h.C, r.B) + Product(h.D, r.A) + Product(h.E, e5);
        var e = Product(h.A, r.E) + Product(h.B, r.D) + Product(h.C, r.C) + Product(h.D, r.B) + Product(h.E, r.A);
        var mask = Vector256.Create(Mask26);
        b += Vector256.ShiftRightLogical(a, 26);
        a &= mask;
        c += Vector256.ShiftRightLogical(b, 26);
        b &= mask;
        d += Vector256.ShiftRightLogical(c, 26);
        c &= mask;
        e += Vector256.ShiftRightLogical(d, 26);
        d &= mask;
        var over = Vector256.ShiftRightLogical(e, 26);
        e &= mask;
        a += over + Vector256.ShiftLeft(over, 2);
        b += Vector256.ShiftRightLogical(a, 26);
        a &= mask;
        (h.A, h.B, h.C, h.D, h.E) = (a, b, c, d, e);
    }

    /// <summary>Adds the lanes up and packs the five limbs into three words.</summary>
    private static void Collect(in Limbs h, out ulong h0, out ulong h1, out ulong h2)
    {
        ulong a = Vector256.Sum(h.A), b = Vector256.Sum(h.B), c = Vector256.Sum(h.C), d = Vector256.Sum(h.D), e = Vector256.Sum(h.E);
        b += a >> 26;
        a &= Mask26;
        c += b >> 26;
        b &= Mask26;
        d += c >> 26;
        c &= Mask26;
        e += d >> 26;
        d &= Mask26;
        h0 = a | (b << 26) | (c << 52);
        h1 = (c >> 12) | (d << 14) | (e << 40);
        h2 = e >> 24;
        // Four lanes may sum to several times 2^130; the final reduction takes away one at most.
        var over = h2 >> 2;
        h2 &= 3;
        Poly1305.Add(ref h0, ref h1, ref h2, over * 5, 0, 0);
    }
}

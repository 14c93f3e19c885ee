using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Evenkeel.Backup.Crypto;

/// <summary>
/// The Poly1305 one-time authenticator (RFC 8439, section 2.5): a polynomial over the message modulo 2^130 − 5.
/// </summary>
/// <remarks>
/// The accumulator is kept in two 64-bit words and a small third one; a product is reduced with 2^130 ≡ 5. The 64 × 64 → 128
/// bit multiplication (<see cref="Math.BigMul(ulong, ulong, out ulong)"/>) is one instruction on 64-bit machines and portable
/// everywhere else. The bulk of a long message goes through <see cref="Poly1305Vector"/> where the machine has AVX2.
/// </remarks>
internal static class Poly1305
{
    public const int KeySize = 32;
    public const int TagSize = 16;

    /// <summary>Writes the 16-byte tag of <paramref name="message"/> under the 32-byte one-time key r ‖ s.</summary>
    public static void ComputeTag(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, Span<byte> tag, bool allowVector = true)
    {
        ulong r0 = BinaryPrimitives.ReadUInt64LittleEndian(key) & 0x0FFFFFFC0FFFFFFF;
        ulong r1 = BinaryPrimitives.ReadUInt64LittleEndian(key[8..]) & 0x0FFFFFFC0FFFFFFC;
        ulong h0 = 0, h1 = 0, h2 = 0;

        if (allowVector && Poly1305Vector.IsSupported && message.Length >= Poly1305Vector.MinimumLength)
        {
            var done = Poly1305Vector.Absorb(r0, r1, message, out h0, out h1, out h2);
            message = message[done..];
        }
        while (message.Length >= 16)
        {
            Add(ref h0, ref h1, ref h2, BinaryPrimitives.ReadUInt64LittleEndian(message),
                BinaryPrimitives.ReadUInt64LittleEndian(message[8..]), 1);
            Multiply(ref h0, ref h1, ref h2, r0, r1);
            message = message[16..];
        }
        if (!message.IsEmpty)
        {
            Span<byte> last = stackalloc byte[16];
            last.Clear();
            message.CopyTo(last);
            last[message.Length] = 1;
            Add(ref h0, ref h1, ref h2, BinaryPrimitives.ReadUInt64LittleEndian(last),
                BinaryPrimitives.ReadUInt64LittleEndian(last[8..]), 0);
            Multiply(ref h0, ref h1, ref h2, r0, r1);
        }
        Finish(h0, h1, h2, key[16..], tag);
    }

    /// <summary>h ← h + (low, high, top), without reduction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Add(ref ulong h0, ref ulong h1, ref ulong h2, ulong low, ulong high, ulong top)
    {
        h0 += low;
        var carry = h0 < low ? 1UL : 0UL;
        var sum = h1 + high;
        var carry1 = sum < high ? 1UL : 0UL;
        h1 = sum + carry;
        carry1 += h1 < sum ? 1UL : 0UL;
        h2 += carry1 + top;
    }

    /// <summary>h ← h × r modulo 2^130 − 5, partly reduced (the top word stays below 8).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Multiply(ref ulong h0, ref ulong h1, ref ulong h2, ulong r0, ulong r1)
    {
        // r's clamping keeps h2 × r within 64 bits and all the sums below within 128.
        var high00 = Math.BigMul(h0, r0, out var low00);
        var high01 = Math.BigMul(h0, r1, out var low01);
        var high10 = Math.BigMul(h1, r0, out var low10);
        var high11 = Math.BigMul(h1, r1, out var low11);

        var middleLow = low01 + low10;
        var middleHigh = high01 + high10 + (middleLow < low10 ? 1UL : 0UL);
        var add = h2 * r0;
        var topLow = low11 + add;
        var topHigh = high11 + (topLow < add ? 1UL : 0UL);
        var top = h2 * r1;

        var t0 = low00;
        var t1 = middleLow + high00;
        middleHigh += t1 < high00 ? 1UL : 0UL;
        var t2 = topLow + middleHigh;
        topHigh += t2 < middleHigh ? 1UL : 0UL;
        var t3 = top + topHigh;

        // The part above 2^130 comes back times five: four times (mask) plus once (shifted).
        h0 = t0;
        h1 = t1;
        h2 = t2 & 3;
        var c0 = t2 & ~3UL;
        Add(ref h0, ref h1, ref h2, c0, t3, 0);
        Add(ref h0, ref h1, ref h2, (c0 >> 2) | (t3 << 62), t3 >> 2, 0);
    }

    private static void Finish(ulong h0, ulong h1, ulong h2, ReadOnlySpan<byte> pad, Span<byte> tag)
    {
        // h + 5 ≥ 2^130 exactly when h ≥ p: then subtract p, which is: add 5 and drop bit 130.
        ulong g0 = h0, g1 = h1, g2 = h2;
        Add(ref g0, ref g1, ref g2, 5, 0, 0);
        if (g2 >= 4)
        {
            (h0, h1) = (g0, g1);
        }
        ulong unused = 0;
        Add(ref h0, ref h1, ref unused, BinaryPrimitives.ReadUInt64LittleEndian(pad), BinaryPrimitives.ReadUInt64LittleEndian(pad[8..]), 0);
        BinaryPrimitives.WriteUInt64LittleEndian(tag, h0);
        BinaryPrimitives.WriteUInt64LittleEndian(tag[8..], h1);
    }
}

using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Intrinsics = System.Runtime.Intrinsics.X86.Aes;

namespace Evenkeel.Backup.Crypto;

/// <summary>AES-256 counter mode with the processor's AES instructions, eight blocks in flight to hide their latency.</summary>
internal sealed class AesCounterVector
{
    private const int Rounds = 14;
    private readonly Vector128<byte>[] _roundKeys;

    public AesCounterVector(ReadOnlySpan<byte> key) => _roundKeys = Expand(key);

    public static bool IsSupported => Intrinsics.IsSupported && BitConverter.IsLittleEndian;

    public void Transform(UInt128 counter, ReadOnlySpan<byte> input, Span<byte> output)
    {
        var keys = _roundKeys;
        while (input.Length >= 128)
        {
            var b0 = Block(counter) ^ keys[0];
            var b1 = Block(unchecked(counter + 1)) ^ keys[0];
            var b2 = Block(unchecked(counter + 2)) ^ keys[0];
            var b3 = Block(unchecked(counter + 3)) ^ keys[0];
            var b4 = Block(unchecked(counter + 4)) ^ keys[0];
            var b5 = Block(unchecked(counter + 5)) ^ keys[0];
            var b6 = Block(unchecked(counter + 6)) ^ keys[0];
            var b7 = Block(unchecked(counter + 7)) ^ keys[0];
            unchecked { counter += 8; }
            for (var round = 1; round < Rounds; round++)
            {
                var key = keys[round];
                b0 = Intrinsics.Encrypt(b0, key);
                b1 = Intrinsics.Encrypt(b1, key);
                b2 = Intrinsics.Encrypt(b2, key);
                b3 = Intrinsics.Encrypt(b3, key);
                b4 = Intrinsics.Encrypt(b4, key);
                b5 = Intrinsics.Encrypt(b5, key);
                b6 = Intrinsics.Encrypt(b6, key);
                b7 = Intrinsics.Encrypt(b7, key);
            }
            var last = keys[Rounds];
            Store(input, output, 0, Intrinsics.EncryptLast(b0, last));
            Store(input, output, 16, Intrinsics.EncryptLast(b1, last));
            Store(input, output, 32, Intrinsics.EncryptLast(b2, last));
            Store(input, output, 48, Intrinsics.EncryptLast(b3, last));
            Store(input, output, 64, Intrinsics.EncryptLast(b4, last));
            Store(input, output, 80, Intrinsics.EncryptLast(b5, last));
            Store(input, output, 96, Intrinsics.EncryptLast(b6, last));
            Store(input, output, 112, Intrinsics.EncryptLast(b7, last));
            input = input[128..];
            output = output[128..];
        }
        Span<byte> stream = stackalloc byte[16];
        while (!input.IsEmpty)
        {
            var block = Block(unchecked(counter++)) ^ keys[0];
            for (var round = 1; round < Rounds; round++)
            {
                block = Intrinsics.Encrypt(block, keys[round]);
            }
            Intrinsics.EncryptLast(block, keys[Rounds]).CopyTo(stream);
            var length = Math.Min(16, input.Length);
            for (var i = 0; i < length; i++)
            {
                output[i] = (byte)(input[i] ^ stream[i]);
            }
            input = input[length..];
            output = output[length..];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Block(UInt128 counter) => Vector128.Create(
        BinaryPrimitives.ReverseEndianness((ulong)(counter >> 64)), BinaryPrimitives.ReverseEndianness((ulong)counter)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(ReadOnlySpan<byte> input, Span<byte> output, int at, Vector128<byte> stream) =>
        (Vector128.Create(input.Slice(at, 16)) ^ stream).CopyTo(output.Slice(at, 16));

    /// <summary>The key schedule (FIPS 197, section 5.2) in words; run once per key, so plain rather than fast.</summary>
    private static Vector128<byte>[] Expand(ReadOnlySpan<byte> key)
    {
        const int keyWords = 8;
        Span<uint> words = stackalloc uint[4 * (Rounds + 1)];
        MemoryMarshal.Cast<byte, uint>(key).CopyTo(words);
        uint constant = 1;
        for (var i = keyWords; i < words.Length; i++)
        {
            var word = words[i - 1];
            if (i % keyWords == 0)
            {
                word = SubstituteWord(BitConverter.IsLittleEndian ? uint.RotateRight(word, 8) : uint.RotateLeft(word, 8)) ^ constant;
                constant <<= 1;
            }
            else if (i % keyWords == 4)
            {
                word = SubstituteWord(word);
            }
            words[i] = words[i - keyWords] ^ word;
        }
        var keys = new Vector128<byte>[Rounds + 1];
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = Vector128.Create<uint>(words.Slice(4 * i, 4)).AsByte();
        }
        return keys;
    }

    // AESKEYGENASSIST applies the S-box to each byte of a word (result word 0 = SubWord of input word 1).
    private static uint SubstituteWord(uint word) =>
        Intrinsics.KeygenAssist(Vector128.Create(word).AsByte(), 0).AsUInt32().GetElement(0);
}

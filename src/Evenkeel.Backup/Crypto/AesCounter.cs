using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Evenkeel.Backup.Crypto;

/// <summary>
/// AES-256 in counter mode (NIST SP 800-38A, section 6.5), the counter being the whole 16-byte IV as a big-endian number, as
/// Go's and restic's <c>cipher.NewCTR</c> have it. Encryption and decryption are the same.
/// </summary>
/// <remarks>The platform's AES encrypts batches of counters; where the machine has AES instructions
/// <see cref="AesCounterVector"/> does the work without a call per batch.</remarks>
internal sealed class AesCounter : IDisposable
{
    private const int BatchBytes = 4096;
    private readonly Aes _aes;
    private readonly AesCounterVector? _vector;

    public AesCounter(ReadOnlySpan<byte> key, bool allowVector = true)
    {
        _aes = Aes.Create();
        _aes.Key = key.ToArray();
        _vector = allowVector && AesCounterVector.IsSupported ? new AesCounterVector(key) : null;
    }

    /// <summary>Encrypts one block; used to derive Poly1305's one-time pad.</summary>
    public void EncryptBlock(ReadOnlySpan<byte> block, Span<byte> output) => _aes.EncryptEcb(block, output, PaddingMode.None);

    /// <summary>Writes <paramref name="input"/> XOR key stream to <paramref name="output"/>, which may be the same memory.</summary>
    public void Transform(ReadOnlySpan<byte> iv, ReadOnlySpan<byte> input, Span<byte> output)
    {
        var counter = BinaryPrimitives.ReadUInt128BigEndian(iv);
        if (_vector is not null)
        {
            _vector.Transform(counter, input, output);
            return;
        }
        Span<byte> stream = stackalloc byte[BatchBytes];
        while (!input.IsEmpty)
        {
            var length = Math.Min(BatchBytes, input.Length);
            var blocks = (length + 15) / 16;
            for (var i = 0; i < blocks; i++)
            {
                BinaryPrimitives.WriteUInt128BigEndian(stream[(16 * i)..], unchecked(counter++));
            }
            _aes.EncryptEcb(stream[..(blocks * 16)], stream, PaddingMode.None);
            for (var i = 0; i < length; i++)
            {
                output[i] = (byte)(input[i] ^ stream[i]);
            }
            input = input[length..];
            output = output[length..];
        }
    }

    public void Dispose() => _aes.Dispose();
}

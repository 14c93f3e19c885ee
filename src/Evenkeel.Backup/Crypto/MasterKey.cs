using System.Security.Cryptography;

namespace Evenkeel.Backup.Crypto;

/// <summary>
/// The key that seals everything in a repository: 32 bytes for AES-256, and k and r (16 bytes each) for Poly1305-AES.
/// </summary>
public sealed class MasterKey : IDisposable
{
    /// <summary>What an envelope adds to its content: IV before it, tag after it, 16 bytes each.</summary>
    public const int Overhead = IvSize + Poly1305.TagSize;
    internal const int IvSize = 16;

    private readonly AesCounter _cipher;
    private readonly AesCounter _mac;
    private readonly bool _allowVector;

    /// <summary>The three parts as key files hold them.</summary>
    public MasterKey(ReadOnlySpan<byte> encrypt, ReadOnlySpan<byte> macK, ReadOnlySpan<byte> macR)
        : this(encrypt, macK, macR, allowVector: true)
    {
    }

    internal MasterKey(ReadOnlySpan<byte> encrypt, ReadOnlySpan<byte> macK, ReadOnlySpan<byte> macR, bool allowVector)
    {
        if (encrypt.Length != 32 || macK.Length != 16 || macR.Length != 16)
        {
            throw new RepositoryException(RepositoryError.Damaged, "the master key has parts of a wrong length");
        }
        Encrypt = encrypt.ToArray();
        MacK = macK.ToArray();
        MacR = macR.ToArray();
        _cipher = new AesCounter(encrypt, allowVector);
        _mac = new AesCounter(macK, allowVector: false);
        _allowVector = allowVector;
    }

    internal byte[] Encrypt { get; }

    internal byte[] MacK { get; }

    internal byte[] MacR { get; }

    /// <summary>A fresh key from the system's random source.</summary>
    public static MasterKey Generate()
    {
        Span<byte> bytes = stackalloc byte[64];
        RandomNumberGenerator.Fill(bytes);
        return FromBytes(bytes);
    }

    /// <summary>The 64 bytes encrypt ‖ k ‖ r, as scrypt derives them from a password.</summary>
    public static MasterKey FromBytes(ReadOnlySpan<byte> bytes) => new(bytes[..32], bytes[32..48], bytes[48..64]);

    /// <summary>Writes IV ‖ ciphertext ‖ tag to <paramref name="output"/> (content + <see cref="Overhead"/> bytes), with a fresh random IV.</summary>
    public void Seal(ReadOnlySpan<byte> content, Span<byte> output)
    {
        var iv = output[..IvSize];
        RandomNumberGenerator.Fill(iv);
        var ciphertext = output.Slice(IvSize, content.Length);
        _cipher.Transform(iv, content, ciphertext);
        ComputeTag(iv, ciphertext, output.Slice(IvSize + content.Length, Poly1305.TagSize));
    }

    /// <summary>The sealed form of <paramref name="content"/>, in a new array.</summary>
    public byte[] Seal(ReadOnlySpan<byte> content)
    {
        var output = new byte[content.Length + Overhead];
        Seal(content, output);
        return output;
    }

    /// <summary>
    /// Writes the content of an envelope to <paramref name="output"/> and returns its length; false when the tag does not match
    /// (another key, or a changed byte), and then nothing is written.
    /// </summary>
    public bool TryOpen(ReadOnlySpan<byte> envelope, Span<byte> output, out int length)
    {
        length = envelope.Length - Overhead;
        if (length < 0)
        {
            length = 0;
            return false;
        }
        var iv = envelope[..IvSize];
        var ciphertext = envelope.Slice(IvSize, length);
        Span<byte> tag = stackalloc byte[Poly1305.TagSize];
        ComputeTag(iv, ciphertext, tag);
        if (!CryptographicOperations.FixedTimeEquals(tag, envelope[^Poly1305.TagSize..]))
        {
            return false;
        }
        _cipher.Transform(iv, ciphertext, output);
        return true;
    }

    /// <summary>The content of an envelope; null when it does not authenticate.</summary>
    public byte[]? TryOpen(ReadOnlySpan<byte> envelope)
    {
        var content = new byte[Math.Max(0, envelope.Length - Overhead)];
        return TryOpen(envelope, content, out _) ? content : null;
    }

    // Poly1305-AES (Bernstein 2005): the one-time pad is the IV encrypted under k.
    private void ComputeTag(ReadOnlySpan<byte> iv, ReadOnlySpan<byte> ciphertext, Span<byte> tag)
    {
        Span<byte> key = stackalloc byte[Poly1305.KeySize];
        MacR.CopyTo(key);
        _mac.EncryptBlock(iv, key[16..]);
        Poly1305.ComputeTag(key, ciphertext, tag, _allowVector);
    }

    /// <summary>Forgets the key's bytes.</summary>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(Encrypt);
        CryptographicOperations.ZeroMemory(MacK);
        CryptographicOperations.ZeroMemory(MacR);
        _cipher.Dispose();
        _mac.Dispose();
    }
}

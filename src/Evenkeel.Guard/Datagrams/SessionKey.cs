using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Datagrams;

/// <summary>
/// One sender session's own key towards one receiver, derived from the cluster's (HKDF-SHA256, RFC 5869) with cluster, sender, session and
/// receiver in its info: the nonce is then just that direction's counter, which never repeats under it.
/// </summary>
internal sealed class SessionKey : IDisposable
{
    public const int TagSize = 16;
    private readonly AesGcm _cipher;

    public SessionKey(byte[] clusterKey, string cluster, NodeName sender, GuardSession session, NodeName receiver)
    {
        var key = HKDF.DeriveKey(HashAlgorithmName.SHA256, clusterKey, 32, info: Encoding.UTF8.GetBytes($"evenkeel guard 1\0{cluster}\0{sender}\0{session}\0{receiver}"));
        _cipher = new AesGcm(key, TagSize);
        CryptographicOperations.ZeroMemory(key);
    }

    public void Seal(ulong counter, ReadOnlySpan<byte> header, ReadOnlySpan<byte> plain, Span<byte> sealedText)
    {
        Span<byte> nonce = stackalloc byte[12];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(nonce, counter);
        _cipher.Encrypt(nonce, plain, sealedText[..plain.Length], sealedText.Slice(plain.Length, TagSize), header);
    }

    public bool TryOpen(ulong counter, ReadOnlySpan<byte> header, ReadOnlySpan<byte> sealedText, Span<byte> plain)
    {
        if (sealedText.Length < TagSize) return false;
        Span<byte> nonce = stackalloc byte[12];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(nonce, counter);
        try
        {
            _cipher.Decrypt(nonce, sealedText[..^TagSize], sealedText[^TagSize..], plain[..(sealedText.Length - TagSize)], header);
            return true;
        }
        catch (AuthenticationTagMismatchException) { return false; }
    }

    public void Dispose() => _cipher.Dispose();
}

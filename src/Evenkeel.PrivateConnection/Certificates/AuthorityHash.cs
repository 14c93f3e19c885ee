using System.Buffers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>
/// How a person carries trust from one server to another: the SHA-256 of an authority's public key (SubjectPublicKeyInfo, RFC 7469
/// section 2.4), written <c>sha256:</c> and 64 hexadecimal digits.
/// </summary>
public static class AuthorityHash
{
    private const string Prefix = "sha256:";
    private static readonly SearchValues<char> digits = SearchValues.Create("0123456789abcdef");

    public static string Of(X509Certificate2 authority) =>
        Prefix + Convert.ToHexStringLower(SHA256.HashData(authority.PublicKey.ExportSubjectPublicKeyInfo()));

    /// <summary>Whether the text could be a hash at all.</summary>
    public static bool IsValid(string text) =>
        text.StartsWith(Prefix, StringComparison.Ordinal) && text.Length == Prefix.Length + 64 && !text.AsSpan(Prefix.Length).ContainsAnyExcept(digits);

    /// <summary>Whether the certificate at the other end of a connection was signed by this very authority and is valid now.</summary>
    public static bool HasSigned(X509Certificate2 authority, X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(certificate);
    }
}

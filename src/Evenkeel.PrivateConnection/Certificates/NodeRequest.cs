using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>A new node's own key (ECDSA P-256), which never leaves it, and what it asks the cluster's authority to sign (PKCS #10, RFC 2986).</summary>
public sealed class NodeRequest : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <summary>The request, PEM; it names nobody: the authority says who its asker is.</summary>
    public string ToPem() => new CertificateRequest("CN=new node", _key, HashAlgorithmName.SHA256).CreateSigningRequestPem();

    /// <summary>Writes <c>ca.crt</c>, <c>node.crt</c> and <c>node.key</c> (0600).</summary>
    /// <param name="authority">The authority's certificate, PEM, verified by the caller.</param>
    /// <param name="certificate">What it signed, PEM.</param>
    /// <exception cref="InvalidDataException">The certificate is not for this key.</exception>
    public void Save(string authority, string certificate, string directory)
    {
        using var issued = Parse(certificate);
        using var theirs = issued.GetECDsaPublicKey();
        if (theirs is null || !theirs.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(_key.ExportSubjectPublicKeyInfo()))
        {
            throw new InvalidDataException("the certificate that came back is not for this server's key");
        }

        CertificatePair.ReplaceAuthorities(directory, [authority]);
        CertificatePair.ReplacePair(directory, certificate, KeyPem);
    }

    /// <summary>Puts a renewed certificate in place of the node's present one; whom it trusts does not change.</summary>
    /// <exception cref="InvalidDataException">The certificate is not for this key; nothing was changed.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Renew(string certificate, string directory) => CertificatePair.ReplacePair(directory, certificate, KeyPem);

    private string KeyPem => _key.ExportPkcs8PrivateKeyPem() + "\n";

    public void Dispose() => _key.Dispose();

    private static X509Certificate2 Parse(string pem)
    {
        try
        {
            return X509Certificate2.CreateFromPem(pem);
        }
        catch (CryptographicException exception)
        {
            throw new InvalidDataException($"what came back is no certificate: {exception.Message}");
        }
    }
}

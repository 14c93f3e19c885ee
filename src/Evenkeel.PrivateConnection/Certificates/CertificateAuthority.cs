using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Model;

namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>
/// The cluster's own certificate authority (ECDSA P-256, X.509 v3, RFC 5280): what it signed is a member, nothing else is.
/// Node certificates name their node as <c>CN</c> and carry the node's private addresses.
/// </summary>
public sealed class CertificateAuthority : IDisposable
{
    public const string CertificateFile = "ca.crt";
    public const string KeyFile = "ca.key";

    private static readonly TimeSpan AuthorityLifetime = TimeSpan.FromDays(3650);

    /// <summary>Node certificates rotate by themselves long before this.</summary>
    public static readonly TimeSpan NodeLifetime = TimeSpan.FromDays(365);

    /// <summary>Nodes' wall clocks may be hours apart when a cluster is set up.</summary>
    public static readonly TimeSpan Backdate = TimeSpan.FromDays(1);

    private readonly X509Certificate2 _certificate;

    private CertificateAuthority(X509Certificate2 certificate) => _certificate = certificate;

    public static CertificateAuthority Create(string cluster)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        // A name of its own: with two authorities of one name OpenSSL takes the first for the issuer, and does not look further.
        var mark = Convert.ToHexStringLower(SHA256.HashData(key.ExportSubjectPublicKeyInfo()))[..16];
        var request = new CertificateRequest($"CN=Evenkeel cluster {cluster}, OU={mark}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var now = DateTimeOffset.UtcNow;
        return new CertificateAuthority(request.CreateSelfSigned(now - Backdate, now + AuthorityLifetime));
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <exception cref="InvalidDataException">A file is missing or cannot be read; says which.</exception>
    public static CertificateAuthority Load(string directory)
    {
        try
        {
            using var pem = X509Certificate2.CreateFromPemFile(Path.Combine(directory, CertificateFile), Path.Combine(directory, KeyFile));
            return new CertificateAuthority(X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable));
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"the cluster's certificate authority in {directory} cannot be used: {exception.Message}");
        }
    }

    /// <summary>Writes <c>ca.crt</c> and <c>ca.key</c> (0600). Who has the key can make members: keep it off nodes that need not have it.</summary>
    public void Save(string directory)
    {
        Directory.CreateDirectory(directory);
        using var key = _certificate.GetECDsaPrivateKey()!;
        PrivateFile.Replace(Path.Combine(directory, KeyFile), key.ExportPkcs8PrivateKeyPem() + "\n", PrivateFile.OwnerOnly);
        PrivateFile.Replace(Path.Combine(directory, CertificateFile), CertificatePem, PrivateFile.Public);
    }

    /// <summary>Writes a node's <c>ca.crt</c>, <c>node.crt</c> and <c>node.key</c> (0600) into <paramref name="directory"/>.</summary>
    public void IssueNode(NodeName node, IEnumerable<IPAddress> addresses, string directory) =>
        IssueNode(node, addresses, directory, DateTimeOffset.UtcNow + NodeLifetime);

    /// <summary>As above, valid until <paramref name="notAfter"/> (at most as long as the authority itself).</summary>
    public void IssueNode(NodeName node, IEnumerable<IPAddress> addresses, string directory, DateTimeOffset notAfter)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var issued = Issue(new PublicKey(key), node, addresses, notAfter);
        Directory.CreateDirectory(directory);
        CertificatePair.ReplaceAuthorities(directory, [CertificatePem]);
        CertificatePair.ReplacePair(directory, issued.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    /// <summary>The authority's certificate, PEM.</summary>
    public string CertificatePem => _certificate.ExportCertificatePem() + "\n";

    /// <summary>When it ends; nothing that it signs lasts longer.</summary>
    public DateTimeOffset Ends => _certificate.NotAfter;

    /// <summary>What tells this authority from any other; see <see cref="AuthorityHash"/>.</summary>
    public string Hash => AuthorityHash.Of(_certificate);

    /// <summary>
    /// Signs what a <see cref="NodeRequest"/> asks for. Only its public key counts, and that its asker has the private one (the
    /// request is signed with it, RFC 2986); the name and the addresses are ours to say.
    /// </summary>
    /// <returns>The certificate, PEM.</returns>
    /// <exception cref="InvalidDataException">It is no such request, or its signature is not its own key's.</exception>
    public string Sign(string request, NodeName node, IEnumerable<IPAddress> addresses) => Sign(request, node, addresses, NodeLifetime);

    /// <inheritdoc cref="Sign(string, NodeName, IEnumerable{IPAddress})"/>
    public string Sign(string request, NodeName node, IEnumerable<IPAddress> addresses, TimeSpan lifetime)
    {
        try
        {
            var asked = CertificateRequest.LoadSigningRequestPem(request, HashAlgorithmName.SHA256);
            using var key = asked.PublicKey.GetECDsaPublicKey() ?? throw new InvalidDataException("the certificate request is not for an elliptic-curve key");
            using var issued = Issue(asked.PublicKey, node, addresses, DateTimeOffset.UtcNow + lifetime);
            return issued.ExportCertificatePem() + "\n";
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"the certificate request cannot be used: {exception.Message}");
        }
    }

    private X509Certificate2 Issue(PublicKey key, NodeName node, IEnumerable<IPAddress> addresses, DateTimeOffset notAfter)
    {
        var request = new CertificateRequest(new X500DistinguishedName($"CN={node}"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(
            [new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false)); // server and client authentication
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(node.Value);
        names.AddIpAddress(IPAddress.Loopback);
        foreach (var address in addresses)
        {
            names.AddIpAddress(address);
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_certificate, true, false));
        notAfter = notAfter < Ends ? notAfter : Ends;
        var notBefore = new[] { DateTimeOffset.UtcNow, notAfter }.Min() - Backdate;
        var earliest = new DateTimeOffset(_certificate.NotBefore);
        return request.Create(_certificate, notBefore < earliest ? earliest : notBefore, notAfter, RandomNumberGenerator.GetBytes(16));
    }

    public void Dispose() => _certificate.Dispose();
}

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
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan AuthorityLifetime = TimeSpan.FromDays(3650);

    /// <summary>Node certificates rotate by themselves long before this.</summary>
    private static readonly TimeSpan NodeLifetime = TimeSpan.FromDays(365);

    // Nodes' wall clocks may be hours apart when a cluster is set up.
    private static readonly TimeSpan Backdate = TimeSpan.FromDays(1);

    private readonly X509Certificate2 _certificate;

    private CertificateAuthority(X509Certificate2 certificate) => _certificate = certificate;

    public static CertificateAuthority Create(string cluster)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=Evenkeel cluster {cluster}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var now = DateTimeOffset.UtcNow;
        return new CertificateAuthority(request.CreateSelfSigned(now - Backdate, now + AuthorityLifetime));
    }

    /// <summary>Writes a node's <c>ca.crt</c>, <c>node.crt</c> and <c>node.key</c> (0600) into <paramref name="directory"/>.</summary>
    public void IssueNode(NodeName node, IEnumerable<IPAddress> addresses, string directory)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={node}", key, HashAlgorithmName.SHA256);
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
        var now = DateTimeOffset.UtcNow;
        using var issued = request.Create(_certificate, now - Backdate, now + NodeLifetime, RandomNumberGenerator.GetBytes(16));
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, NodeCertificate.AuthorityFile), _certificate.ExportCertificatePem() + "\n");
        File.WriteAllText(Path.Combine(directory, NodeCertificate.CertificateFile), issued.ExportCertificatePem() + "\n");
        WritePrivate(Path.Combine(directory, NodeCertificate.KeyFile), key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    public void Dispose() => _certificate.Dispose();

    private static void WritePrivate(string path, string text)
    {
        File.Delete(path);
        using var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly,
        });
        using var writer = new StreamWriter(stream);
        writer.Write(text);
    }
}
